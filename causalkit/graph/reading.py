"""Graphs as text: edge strings, dagitty, DOT, dictionaries and networkx; read strictly, never evaluated."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from causalkit.errors import DesignError
from causalkit.graph.interchange_in import is_dictionary, is_gml, networkx_of_gml, unwrapped

#: A name in quotes, a bare name, an arrow, or punctuation.
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<arrow><->|<-->|@->|-->|<--|->|<-|--)|(?P<mark>[{}\[\];,=])"""
    r"""|(?P<bare>[^\s{}\[\];,="<>-]+(?:-(?![->])[^\s{}\[\];,="<>-]+)*))"""
)
_FORWARD, _BACKWARD, _BOTH, _NONE = ("->", "-->", "@->"), ("<-", "<--"), ("<->", "<-->"), ("--",)
_LATENT = ("latent", "l", "unobserved")
_SELECTED = ("selected", "s")
_LAYOUT = ("bb", "node", "edge", "graph", "rankdir")
_KEYWORDS = ("dag", "pdag", "mag", "pag", "digraph", "subgraph", "strict")
#: What comments, line ends and drawn arrows become outside quotes.
_PLAIN = {"→": "->", "←": "<-", "↔": "<->", "\n": ";\n"}


@dataclass
class Parsed:
    """What a text says: nodes in the order of their first mention, and edges by kind."""

    nodes: dict[str, None] = field(default_factory=dict)
    directed: list[tuple[str, str]] = field(default_factory=list)
    bidirected: list[tuple[str, str]] = field(default_factory=list)
    undirected: list[tuple[str, str]] = field(default_factory=list)
    latent: set[str] = field(default_factory=set)
    selected: set[str] = field(default_factory=set)

    def add(self, kind: str, one: str, two: str) -> None:
        """Add an edge as an arrow says it."""
        self.nodes.setdefault(one)
        self.nodes.setdefault(two)
        if kind in _FORWARD:
            self.directed.append((one, two))
        elif kind in _BACKWARD:
            self.directed.append((two, one))
        elif kind in _BOTH:
            self.bidirected.append((one, two))
        else:
            self.undirected.append((one, two))


def read_graph(source: Any) -> Parsed:
    """Read a graph.

    Parameters
    ----------
    source : str, mapping, networkx graph, or iterable of pairs
        ``"z -> t -> y; u <-> y"``; dagitty's ``dag { ... }`` with ``[latent]`` and ``[selected]``; DOT's
        ``digraph { ... }``; GML; a mapping from node to its children, or what ``to_dict`` wrote; anything with ``nodes`` and
        ``edges`` as networkx has them; a dowhy graph or model; or (tail, head) pairs.

    Raises
    ------
    DesignError
        If it can't be read; the message shows where.
    """
    if isinstance(source, str) and not is_gml(source):
        return _Reader(source).read()
    source = networkx_of_gml(source) if isinstance(source, str) else unwrapped(source)
    parsed = Parsed()
    if hasattr(source, "to_dict") and hasattr(source, "to_dagitty"):  # one of ours
        source = source.to_dict()
    if isinstance(source, Mapping) and is_dictionary(source):
        return _of_dictionary(source)
    if isinstance(source, Mapping):
        for tail, heads in source.items():
            parsed.nodes.setdefault(_name(tail))
            for head in [heads] if isinstance(heads, str) else heads or ():
                parsed.add("->", _name(tail), _name(head))
        return parsed
    if hasattr(source, "edges") and hasattr(source, "nodes"):
        if hasattr(source, "is_directed") and not source.is_directed():
            raise DesignError("the graph has edges without a direction.", hint="Pass a directed graph.")
        return _of_networkx(source)
    try:
        for edge in source:
            if isinstance(edge, str):
                raise TypeError
            tail, head = edge
            parsed.add("->", _name(tail), _name(head))
    except (TypeError, ValueError):
        raise DesignError(
            f"{source!r} is no graph.", hint='Write edges such as "z -> t -> y; z -> y", or pairs (tail, head).'
        ) from None
    return parsed


def _of_dictionary(source: Mapping[str, Any]) -> Parsed:
    """Read what ``to_dict`` wrote."""
    parsed = Parsed(dict.fromkeys(map(_name, source["nodes"])))
    for kind, arrow in (("directed", "->"), ("bidirected", "<->"), ("undirected", "--")):
        for pair in source[kind]:
            if isinstance(pair, str) or len(pair) != 2:
                raise DesignError(f"{kind} holds {pair!r}, which is no pair.", hint='Write [["a", "b"]].')
            parsed.add(arrow, *map(_name, pair))
    parsed.latent.update(map(_name, source["latent"]))
    parsed.selected.update(map(_name, source["selected"]))
    return parsed


def _of_networkx(source: Any) -> Parsed:
    """Read nodes and edges with the attributes that ``to_networkx`` and dowhy give them."""
    parsed = Parsed()
    told = dict(source.nodes(data=True)) if callable(source.nodes) else {}
    names: dict[str, Any] = {}
    hidden: dict[Any, list[str]] = {node: [] for node, marks in told.items() if marks.get("bidirected")}
    for node in source.nodes:
        if names.setdefault(_name(node), node) is not node:
            raise DesignError(
                f"the nodes {names[_name(node)]!r} and {node!r} have one name.", hint="Names are texts; rename one."
            )
        if node in hidden:
            continue
        parsed.nodes.setdefault(_name(node))
        if str(told.get(node, {}).get("observed", "yes")).lower() in ("no", "false", "0"):
            parsed.latent.add(_name(node))
        if told.get(node, {}).get("selected"):
            parsed.selected.add(_name(node))
    edges: Iterable[Any] = source.edges(data=True) if callable(source.edges) else source.edges
    for tail, head, *marks in edges:
        if tail in hidden:
            hidden[tail].append(_name(head))
        else:
            bare = bool(marks) and isinstance(marks[-1], Mapping) and marks[-1].get("undirected")
            parsed.add("--" if bare else "->", _name(tail), _name(head))
    for node, ends in hidden.items():
        if len(ends) != 2 or _name(node) in parsed.nodes:
            raise DesignError(
                f"the bidirected edge {node!r} does not have two ends.", hint="Give its node two children, no parents."
            )
        parsed.add("<->", *ends)
    return parsed


def quoted(name: str) -> str:
    """Write a name so that it is read back as it is."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name) and name.lower() not in (*_LAYOUT, *_KEYWORDS)
    return name if plain else in_quotes(name)


def in_quotes(name: str) -> str:
    """Write a name in double quotes, with those that it holds escaped."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _name(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


class _Reader:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        text = re.sub(
            r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*.*?\*/|[→←↔\n]',
            lambda found: found[0] if found[0][0] == '"' else _PLAIN.get(found[0], " "),
            text,
            flags=re.S,
        )
        body = re.search(
            r"^[\s;]*(?:strict\s+)?(?:dag|digraph|pdag|mag|pag|graph)\b[\s;]*"
            r'(?:"(?:[^"\\]|\\.)*"|[\w.]+)?[\s;]*\{(.*)\}[\s;]*$',
            text,
            flags=re.S,
        )
        self.loose = body is not None  # between braces nodes may stand side by side
        self.text = body.group(1) if body else text
        self.spelled: set[str] = set()  # names in quotes, which are no keywords
        self.at = 0
        self.parsed = Parsed()

    def read(self) -> Parsed:
        while (token := self._next()) is not None:
            if token in (";", ","):
                continue
            self._statement(token)
        return self.parsed

    def _statement(self, token: str) -> None:
        """Read nodes joined by arrows, with options in brackets; several nodes may stand in braces."""
        left = self._group(token)
        arrow = self._arrow()
        edges: list[tuple[str, str]] = []
        if arrow is None:
            options = self._options()
            for node in left:
                self._declare(node, options)
            self._end_of_statement()
            return
        while arrow is not None:
            token_after = self._next()
            if token_after is None or token_after in (";", ",", "]", "}"):
                raise self._error("an arrow leads nowhere")
            right = self._group(token_after)
            for one in left:
                for two in right:
                    self.parsed.add(arrow, one, two)
            edges += [(one, two) for one in left for two in right]
            left, arrow = right, self._arrow()
        options = self._options()
        for option, kind in (("both", self.parsed.bidirected), ("none", self.parsed.undirected)):
            if option in options:  # how DOT draws an edge with two heads, or without
                for edge in edges:
                    if edge in self.parsed.directed:
                        self.parsed.directed.remove(edge)
                        kind.append(edge)
        self._end_of_statement()

    def _end_of_statement(self) -> None:
        start = self.at
        token = self._next()
        self.at = start
        if token == "," and not self.loose:
            raise self._error("a comma joins nothing here: write {a b} -> c")
        if token not in (None, ";", ",", "}") and not self.loose:
            raise self._error(
                f"{token!r} stands beside another name: join them by an arrow, or set a semicolon between"
            )

    def _group(self, token: str) -> list[str]:
        if token != "{":
            return [self._node(token)]
        nodes = []
        while (inner := self._next()) != "}":
            if inner is None:
                raise self._error("a brace is not closed")
            if inner not in (";", ","):
                nodes.append(self._node(inner))
        return nodes

    def _node(self, token: str) -> str:
        if token in ("{", "}", "[", "]", "=") or token in (*_FORWARD, *_BACKWARD, *_BOTH, *_NONE):
            raise self._error(f"{token!r} stands where a name is needed")
        name = re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.S) if token.startswith('"') else token
        if not name:
            raise self._error("a name is empty")
        if token.startswith('"'):
            self.spelled.add(name)
        if token == "subgraph" or not (token.startswith('"') or any(char.isalnum() or char == "_" for char in token)):
            raise self._error(f"{token!r} is no name")
        self.parsed.nodes.setdefault(name)
        return name

    def _declare(self, node: str, options: list[str]) -> None:
        if set(options) & set(_LATENT):
            self.parsed.latent.add(node)
        if set(options) & set(_SELECTED):
            self.parsed.selected.add(node)
        if node in _LAYOUT and node not in self.spelled and options:  # layout, not a variable
            self.parsed.nodes.pop(node, None)

    def _options(self) -> list[str]:
        """Read ``[latent, pos="0,1"]``, or ``= value`` of a layout setting."""
        start = self.at
        token = self._next()
        if token == "=":
            self._next()
            return ["layout"]
        if token != "[":
            self.at = start
            return []
        found: list[str] = []
        while (inner := self._next()) != "]":
            if inner is None:
                raise self._error("a bracket is not closed")
            if inner == "=":
                value = (self._next() or "").strip('"').lower()
                setting = (found[-1] if found else "", value)
                if setting in (("observed", "no"), ("style", "dashed")):
                    found.append("latent")
                if setting in (("dir", "both"), ("dir", "none")):
                    found.append(value)
            elif inner not in (",", ";"):
                found.append(inner.lower())
        return found

    def _arrow(self) -> str | None:
        start = self.at
        token = self._next()
        if token in (*_FORWARD, *_BACKWARD, *_BOTH, *_NONE):
            return token
        self.at = start
        return None

    def _next(self) -> str | None:
        if not self.text[self.at :].strip():
            self.at = len(self.text)
            return None
        match = _TOKEN.match(self.text, self.at)
        if match is None:
            raise self._error("this can't be read")
        self.at = match.end()
        return match.group("quoted") or match.group("arrow") or match.group("mark") or match.group("bare")

    def _error(self, what: str) -> DesignError:
        shown = self.text[max(0, self.at - 20) : self.at + 20].replace("\n", " ").strip()
        return DesignError(
            f"the graph can't be read: {what}, near {shown!r}.",
            hint='Write edges such as "z -> t -> y; z -> y; u <-> y", names with spaces in double quotes.',
        )
