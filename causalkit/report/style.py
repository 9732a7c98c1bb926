"""The style sheet of the HTML report: one column of text, large numbers, light and dark, screen and paper."""

from __future__ import annotations

import re

_SOURCE = """
:root{
  color-scheme:light dark;
  --paper:#fdfdfc;--panel:#f5f6f4;--ink:#1b2430;--muted:#566270;--line:#dde1e4;--shade:#1b243038;--link:#0b57a0;
  --fail:#a3261c;--fail-soft:#fbeeec;--warn:#7d5200;--warn-soft:#fbf3e2;--good:#1d6544;--good-soft:#ecf5ef;
  --unknown:#4d5a68;--unknown-soft:#f0f2f4;
  --serif:"Iowan Old Style","Palatino Linotype",Palatino,"Book Antiqua",Georgia,"Liberation Serif",serif;
  --sans:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"Liberation Sans",sans-serif;
}
@media screen and (prefers-color-scheme:dark){:root{
  --paper:#14181d;--panel:#1c2229;--ink:#e8ebee;--muted:#a3afbb;--line:#323b45;--shade:#000000a0;--link:#86bdf5;
  --fail:#ff9d92;--fail-soft:#331c1b;--warn:#f0c063;--warn-soft:#2e2614;--good:#7dd3a6;--good-soft:#172a21;
  --unknown:#b3bfca;--unknown-soft:#20262d;
  --ck-ink:#e8ebee;--ck-muted:#a3afbb;--ck-rule:#5b6672;--ck-grid:#2b333c;--ck-paper:#14181d;
  --ck-blue:#6cb2f5;--ck-orange:#f0915f;--ck-green:#57c7a1;--ck-purple:#d896c8;--ck-amber:#e3b24a;--ck-cyan:#6fcbe0;
}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--paper);color:var(--ink);font:1.0625rem/1.6 var(--sans);overflow-wrap:break-word}
header,nav,main{max-width:47rem;margin:0 auto;padding:0 1.5rem}
header{padding-top:4.5rem}
h1,h2,h3,h4{line-height:1.2;text-wrap:balance;margin:0}
h1{font:600 clamp(2rem,1.4rem + 2.8vw,3.1rem)/1.1 var(--serif);letter-spacing:-.015em}
h2{font:600 clamp(1.5rem,1.25rem + 1.2vw,2rem)/1.2 var(--serif);letter-spacing:-.01em;margin-bottom:1.75rem}
section>h2{display:flex;gap:.6em}
h3{font-size:1.2rem;font-weight:650;margin-bottom:.6rem}
h4{font-size:1.05rem;font-weight:650}
p{margin:0 0 .9rem;text-wrap:pretty}
a{color:var(--link);text-underline-offset:.15em}
a:focus-visible,summary:focus-visible,.table:focus-visible{outline:3px solid var(--link);outline-offset:3px;border-radius:2px}
main:focus{outline:none}
.skip{position:absolute;left:1rem;top:-4rem;background:var(--ink);color:var(--paper);padding:.6rem 1rem;z-index:1}
.skip:focus{top:1rem}
.subtitle{color:var(--muted);margin:.8rem 0 0;font-size:1.1rem}
.lead{font:400 clamp(1.25rem,1.1rem + .8vw,1.6rem)/1.42 var(--serif);margin:1.6rem 0 0}
nav{margin-top:2rem}
nav ol{list-style:none;margin:0;padding:.75rem 0;display:flex;flex-wrap:wrap;gap:.3rem 1.6rem;
  border-top:1px solid var(--line);border-bottom:1px solid var(--line);font-size:.92rem}
nav a{display:inline-block;padding:.15rem 0;text-decoration:none}
nav a:hover{text-decoration:underline}
.banner{display:flex;gap:.9rem;margin:1.75rem 0 0;padding:1.1rem 1.3rem;border-radius:.5rem;
  background:var(--soft);border:1px solid color-mix(in srgb,var(--tone) 35%,transparent)}
.banner .icon{margin-top:.1rem;width:1.5rem;height:1.5rem}
.banner p{margin:0;font-size:1.1rem}
.banner strong{color:var(--tone)}
.banner ul{margin:.6rem 0 0;padding-left:1.1rem}
.banner li{margin:.25rem 0}
.banner li a{font-weight:600}
.fail{--tone:var(--fail);--soft:var(--fail-soft)}
.warn{--tone:var(--warn);--soft:var(--warn-soft)}
.pass{--tone:var(--good);--soft:var(--good-soft)}
.untestable{--tone:var(--unknown);--soft:var(--unknown-soft)}
.icon{flex:none;width:1.25rem;height:1.25rem;fill:none;stroke:var(--tone);stroke-width:1.5;stroke-linecap:round;stroke-linejoin:round}
.of,.rest,.source{color:var(--muted)}
section{margin-top:4rem;padding-top:2.2rem;border-top:2px solid var(--ink);scroll-margin-top:1rem}
.index{color:var(--muted);font-weight:400}
section>article+article{margin-top:3rem}
.source{font-size:.78rem;font-weight:600;letter-spacing:.06em;text-transform:uppercase;margin-bottom:.35rem}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(11.5rem,1fr));gap:1.5rem 2rem;margin:1.4rem 0 1.8rem}
.facts>div{display:flex;flex-direction:column;border-left:3px solid var(--link);padding-left:1rem}
dt,dd{margin:0}
.facts dt{order:2;font-weight:600;line-height:1.35}
.facts .value{order:1;font:600 clamp(2rem,1.7rem + 1.4vw,2.75rem)/1.15 var(--serif);letter-spacing:-.02em;
  font-variant-numeric:lining-nums tabular-nums}
.facts .note{order:3;color:var(--muted);font-size:.9rem;line-height:1.4;margin-top:.2rem}
figure{margin:1.6rem 0}
.ck-figure{display:block;width:100%;height:auto;max-width:39rem;overflow:visible}
figcaption{color:var(--muted);font-size:.9rem;line-height:1.5;margin-top:.6rem}
.slider{margin:1.6rem 0;padding:1.3rem 1.4rem;background:var(--panel);border:1px solid var(--line);border-radius:.5rem}
.slider[hidden]{display:none}
.slider label{display:flex;flex-wrap:wrap;justify-content:space-between;align-items:baseline;gap:.2rem 1rem;font-weight:600}
.slider label output{font:600 1.7rem/1.2 var(--serif)}
.slider input{width:100%;height:2.75rem;margin:0;accent-color:var(--link);cursor:pointer}
.slider input:focus-visible{outline:3px solid var(--link);outline-offset:3px;border-radius:2px}
.slider svg{display:block;width:100%;height:auto;overflow:visible}
.slider .band{fill:var(--good);opacity:.16}
.slider .curve{fill:none;stroke:var(--good);stroke-width:2.2;stroke-linejoin:round}
.slider .zero{fill:none;stroke:var(--muted);stroke-dasharray:4 3}
.slider .at{stroke:var(--ink)}
.slider .dot{fill:var(--good);stroke:var(--paper);stroke-width:1.5}
.slider output{font-variant-numeric:lining-nums tabular-nums}
.readings{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:.9rem 1.5rem;margin:1rem 0 0}
.readings dt{color:var(--muted);font-size:.9rem;line-height:1.35}
.readings dd{font-weight:600}
.table{overflow-x:auto;margin:1.4rem 0 0;
  background:linear-gradient(to right,var(--paper) 30%,transparent) left/2.5rem 100% local,
  linear-gradient(to left,var(--paper) 30%,transparent) right/2.5rem 100% local,
  linear-gradient(to right,var(--shade),transparent) left/.9rem 100% scroll,
  linear-gradient(to left,var(--shade),transparent) right/.9rem 100% scroll;background-repeat:no-repeat}
table{border-collapse:collapse;width:100%;font-size:.92rem;line-height:1.4}
caption{text-align:left;font-weight:600;padding:0 0 .5rem}
caption span{display:inline-block;position:sticky;left:0;max-width:calc(100vw - 2.2rem)}
.hidden{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
th,td{text-align:left;vertical-align:top;padding:.5rem 1rem .5rem 0;border-bottom:1px solid var(--line)}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--muted);font-weight:600;vertical-align:bottom;border-bottom:1.5px solid var(--muted);white-space:nowrap}
tbody th{font-weight:500;min-width:7.5rem}
td:not(.number){min-width:9rem}
.number{text-align:right;font-variant-numeric:lining-nums tabular-nums;white-space:nowrap}
.rest{font-size:.85rem;margin:.5rem 0 0}
.cards{display:grid;gap:1rem;margin-top:1.5rem}
.card{padding:1.1rem 1.3rem 1.2rem;border:1px solid var(--line);border-left:4px solid var(--tone);border-radius:.4rem;
  scroll-margin-top:1rem;min-width:0}
.card:target{background:var(--soft)}
.card>:last-child{margin-bottom:0}
.card p{margin:.4rem 0 0}
.card .status{display:flex;align-items:center;gap:.45rem;float:right;margin:0 0 0 1rem;color:var(--tone);
  font-size:.9rem;font-weight:650}
.card .source{margin-top:.2rem}
.card .tested{color:var(--muted);font-size:.92rem;font-variant-numeric:tabular-nums}
.card .advice{background:var(--soft);padding:.6rem .85rem;border-radius:.3rem;margin-top:.7rem}
details{margin-top:.7rem}
summary{cursor:pointer;color:var(--link);font-size:.92rem;font-weight:600;padding:.2rem 0;width:fit-content}
.run{margin:0;font-size:.92rem}
.run>div{display:grid;grid-template-columns:minmax(8rem,14rem) 1fr;
  gap:.25rem 1.5rem;padding:.45rem 0;border-bottom:1px solid var(--line)}
.run dt{color:var(--muted)}
#run{border-top:1px solid var(--line);margin-bottom:5rem}
#run h2{font-size:1.3rem;margin-bottom:1rem}
@media screen and (min-width:60rem){
  article:not(.card)>.table{width:fit-content;min-width:100%;max-width:calc(44rem + (100vw - 47rem)/2 - 2rem)}
}
@media (max-width:36rem){
  body{font-size:1rem}
  header,nav,main{padding-left:1.1rem;padding-right:1.1rem}
  header{padding-top:2.5rem}
  nav ol{flex-direction:column}
  section{margin-top:3rem;padding-top:1.6rem}
  figure{margin-left:-.6rem;margin-right:-.6rem}
  figcaption{padding:0 .6rem}
  .facts{grid-template-columns:1fr;gap:1.25rem}
  .run>div{grid-template-columns:1fr}
  .card .status{float:none;margin:0 0 .4rem}
  .banner{padding:1rem}
}
@media print{
  @page{margin:20mm 18mm}
  html{scroll-behavior:auto}
  body{font-size:10.5pt;background:#fff}
  header,nav,main{max-width:none;padding-left:0;padding-right:0}
  header{padding-top:0}
  nav,.skip,.slider{display:none}
  section{margin-top:2rem;padding-top:1.2rem}
  h2,h3,h4,h3+p,summary,caption,.source,.facts{break-after:avoid}
  figure,.card,.facts>div,tr,.banner{break-inside:avoid}
  .table{overflow:visible}
  .card,.banner{-webkit-print-color-adjust:exact;print-color-adjust:exact}
  .ck-figure{max-width:15cm}
  details::details-content{content-visibility:visible;display:block;height:auto}
  summary{list-style:none;color:var(--muted)}
  a{color:inherit;text-decoration:none}
}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
"""

STYLE = re.sub(r"\s*\n\s*", "", _SOURCE)
"""The style sheet as it stands in the page."""
