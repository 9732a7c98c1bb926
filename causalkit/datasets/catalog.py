"""What each data set is, where it comes from, and the checksum of its file."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Dataset:
    """One data set: packaged, or downloaded when it is first asked for.

    Parameters
    ----------
    file : str
        File name in ``datasets/``, or in the cache where it was downloaded.
    n : int
        Rows.
    about : str
        What was done, to whom, and what the columns mean.
    source, licence : str
        Where it comes from, and what allows it to be passed on.
    sha256 : str
        Checksum of the file.
    url : str
        Where it is downloaded from; empty for a file that is packaged.
    """

    file: str
    n: int
    about: str
    source: str
    licence: str
    sha256: str
    url: str = ""


_COURSE_DATA = "https://raw.githubusercontent.com/carlosquintanillaa/Datasets"
_NO_LICENCE = "none stated: downloaded for your own use, not passed on with causalkit"

CATALOG = {
    "castle": Dataset(
        file="castle.csv",
        n=550,
        about=(
            "Castle-doctrine laws and crime in 50 US states, 2000 to 2010. sid: state (number in alphabetical order); post: 1 "
            "from the first year in which the law held; start: that year, 0 where there was none by 2010; homicide, "
            "larceny, motor (vehicle theft): cases per 100,000 people, l_...: their logarithms; poverty and unemployrt: "
            "rates in percent; popwt: population."
        ),
        source=(
            'C. Cheng and M. Hoekstra (2013), "Does Strengthening Self-Defense Law Deter Crime or Escalate Violence? '
            'Evidence from Expansions to Castle Doctrine", Journal of Human Resources 48(3), 821-854; as distributed in '
            "the Python package causaldata 0.1.5 (causaldata.castle)."
        ),
        licence="MIT (causaldata, Nick Huntington-Klein and Malcolm Barrett)",
        sha256="32f4deecc057b37f7c69eab346a8d7d546f85335741b85e58c90cd582e9adb21",
    ),
    "close_college": Dataset(
        file="close_college.csv",
        n=3010,
        about=(
            "Schooling and wages of young men in the United States, 1976. lwage: log hourly wage; educ, exper: years of schooling "
            "and of work; nearc4: grew up near a college of four years; black, smsa (metropolitan area), south: 0/1; married: "
            "marital status (1 married, 2 to 6 others)."
        ),
        source=(
            'D. Card (1995), "Using Geographic Variation in College Proximity to Estimate the Return to Schooling", in Aspects '
            "of Labour Market Behaviour; as distributed in the Python package causaldata 0.1.5 (causaldata.close_college)."
        ),
        licence="MIT (causaldata, Nick Huntington-Klein and Malcolm Barrett)",
        sha256="645ecc627e1ef258fc1c76f5fbf266a9fe6d199ec8a691a293a299ac38e5d839",
    ),
    "close_elections_lmb": Dataset(
        file="close_elections_lmb.csv",
        n=7142,
        about=(
            "Elections to the US House of Representatives, 1948 to 1990. seat: state and district; demvoteshare: share of the "
            "two-party vote that went to the Democrat; democrat: a Democrat won; lagdemvoteshare, lagdemocrat: the same of the "
            "election before; score: how liberally the winner voted in the two years after (0 to 100, ADA)."
        ),
        source=(
            'D. S. Lee, E. Moretti and M. J. Butler (2004), "Do Voters Affect or Elect Policies? Evidence from the U.S. House", '
            "Quarterly Journal of Economics 119(3), 807-859; as distributed in the Python package causaldata 0.1.5 "
            "(causaldata.close_elections_lmb)."
        ),
        licence="MIT (causaldata, Nick Huntington-Klein and Malcolm Barrett)",
        sha256="dc64e807955c9308387cacbbf6dc6a5d44e73c4384fc619d29cc153fab52d8ac",
    ),
    "thornton_hiv": Dataset(
        file="thornton_hiv.csv",
        n=4820,
        about=(
            "Randomized cash incentives to fetch the result of an HIV test, rural Malawi, 2004. villnum: village; got: "
            "fetched the result (0/1); distvct: distance to the centre in kilometres; tinc: incentive in US dollars; any: "
            "any incentive (0/1); age: years; hiv2004: test result (1 positive, 0 negative, -1 indeterminate)."
        ),
        source=(
            'R. L. Thornton (2008), "The Demand for, and Impact of, Learning HIV Status", American Economic Review 98(5), '
            "1829-1863; as distributed in the Python package causaldata 0.1.5 (causaldata.thornton_hiv)."
        ),
        licence="MIT (causaldata, Nick Huntington-Klein and Malcolm Barrett)",
        sha256="1232657aa30f73dd31978803564f14b4a31236758d078907513cbedb5470c292",
    ),
    "hillstrom": Dataset(
        file="hillstrom.csv",
        n=64_000,
        about=(
            "Randomized e-mail campaign of a clothing retailer. segment: Mens E-Mail, Womens E-Mail or No E-Mail; visit, "
            "conversion (0/1) and spend in US dollars within two weeks. Before the campaign: recency in months, history "
            "(dollars of the past year) and its segment, mens and womens (bought such goods, 0/1), zip_code (urbanity), "
            "newbie (new in the past year), channel."
        ),
        source="K. Hillstrom (2008), MineThatData E-Mail Analytics And Data Mining Challenge.",
        licence=_NO_LICENCE,
        sha256="ff9e59285e9dc3f5fa3e0975419e6631ea5bdccd65d818991473d2367e02979c",
        url=f"{_COURSE_DATA}/86100ca06e114803df9b691b3fe904cc36c350ea/hillstrom.csv",
    ),
    "artea_coupons": Dataset(
        file="artea-a_b-experiment-recoded.csv",
        n=5_000,
        about=(
            "Randomized coupon of the online retailer Artea (a teaching case; the data are simulated). test_coupon: coupon "
            "or control; trans_after and revenue_after: purchases and dollars after it. Before: channel_acq, "
            "num_past_purch, spent_last_purchase, weeks_since_visit, browsing_minutes, shopping_cart."
        ),
        source='E. Ascarza and A. Israeli (2021), "Artea: Designing Targeting Strategies", Harvard Business School.',
        licence=_NO_LICENCE,
        sha256="411084470ddcc0fb4139d595fdccd8eec6ced371a41b2df0661b7c516d7da400",
        url=f"{_COURSE_DATA}/30366a93b349af4293aa950f48a2ae08f493c219/artea-a_b-experiment-recoded.csv",
    ),
    "artea_demographics": Dataset(
        file="artea-demographics.csv",
        n=5_000,
        about="Race and gender of the people of artea_coupons, by id: for audits, not for targeting.",
        source='E. Ascarza and A. Israeli (2021), "Artea (C): Potential Discrimination", Harvard Business School.',
        licence=_NO_LICENCE,
        sha256="6f1e6c4a8720cc5d85428f387e87eab9b742ddfb17524c6664aa5ba98e78edc0",
        url=f"{_COURSE_DATA}/30366a93b349af4293aa950f48a2ae08f493c219/artea-demographics.csv",
    ),
    "artea_next_campaign": Dataset(
        file="artea-next-campaign.csv",
        n=6_000,
        about="The 6,000 customers to whom the next coupons of Artea may go; columns as in artea_coupons, channels as numbers.",
        source='E. Ascarza and A. Israeli (2021), "Artea: Designing Targeting Strategies", Harvard Business School.',
        licence=_NO_LICENCE,
        sha256="8e35a79daab845df3faab727e23ee00f564f5c44136011cdccbf6f0705151e7d",
        url=f"{_COURSE_DATA}/18d3eaef2d9b904d5d5408a2d64daa5dd536dbaa/artea-next-campaign.csv",
    ),
}
