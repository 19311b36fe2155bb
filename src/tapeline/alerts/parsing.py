"""From a rule's text to its tree, checked: every name is known, every unit fits, every mistake gets its place and its fix.

    rule        = [instruments] condition ["until" condition]
    instruments = instrument {"," instrument}
    condition   = any ["for" TIME]
    any         = all {"or" all}          all = single {"and" single}          single = "not" single | comparison
    comparison  = sum (("<" | "<=" | ">" | ">=" | "==" | "!=") sum
                      | "crosses" ["above" | "below"] sum
                      | ("changes" | "rises" | "falls") "by" NUMBER "within" TIME)
                | FIELD "is" ["not"] WORD {"or" WORD}
                | "(" condition ")"
    sum         = product {("+" | "-") product}        product = factor {("*" | "/") factor}
    factor      = "-" factor | NUMBER | FIELD | INSTRUMENT "." FIELD | "(" sum ")"
                | "abs" "(" sum ")" | FUNCTION "(" sum "," TIME ")"

A bracket may hold a number or a condition: it is read as either, and what stands around it says which it has to be.
"""

from collections.abc import Callable
from typing import Any, get_args

from tapeline.alerts import fields
from tapeline.alerts.lexing import Token
from tapeline.alerts.problems import RuleError, nearest
from tapeline.alerts.reading import Reader
from tapeline.alerts.syntax import (
    AMOUNTS,
    Abs,
    And,
    Arithmetic,
    Change,
    Compare,
    Condition,
    Cross,
    Expression,
    Function,
    Is,
    Lasting,
    Minus,
    Name,
    Node,
    Not,
    Number,
    Or,
    Sentence,
    Window,
    names,
)
from tapeline.engine.connections import is_simulated
from tapeline.errors import UsageError
from tapeline.venues.registry import VENUES

FUNCTIONS = get_args(Function)
COMPARISONS = (">", ">=", "<", "<=", "==", "!=")
MOVES = ("changes", "rises", "falls")
KEYWORDS = ("and", "or", "not", "for", "within", "until", "is", "crosses", "above", "below", "by", *MOVES)
GROUP = "group:"
_MEANT = {"mean": "avg", "average": "avg", "mavg": "avg", "maximum": "max", "minimum": "min", "stdev": "std", "stddev": "std"}


def parse(text: str) -> Sentence:
    """Raises RuleError."""
    return _Parser(text).sentence()


def parse_condition(text: str) -> Condition:
    """A condition alone, as of the option `until`. Raises RuleError."""
    parser = _Parser(text)
    found = parser.condition()
    parser.end()
    return found


def span_of(text: str) -> int:
    """`5m` in ns. Raises RuleError."""
    parser = _Parser(text)
    found = parser.span("a time")
    parser.end()
    return found


class _Parser(Reader):
    def __init__(self, source: str) -> None:
        super().__init__(source)
        self.of_groups = False  # it is of groups, and names no instrument

    def end(self) -> None:
        if self.token.kind == "end":
            return
        if self.at(*COMPARISONS):
            raise self.unexpected("and, or or the end", "compare two at a time: a < b and b < c")
        before = self.tokens[self.place - 1]
        if self.at("and", "or"):
            raise self.unexpected("the end", "put what lasts into brackets, as in (mid > 5 for 10s) and bid > 4")
        if self.at(",") and before.kind == "number":
            raise self.unexpected("and, or or the end", "write thousands without a comma, as in 100000 or 100_000")
        raise self.unexpected("and, or, for or the end", self.nearest_keyword())

    def nearest_keyword(self) -> str:
        return nearest(self.token.text, KEYWORDS) if self.token.kind == "word" else ""

    # Conditions

    def sentence(self) -> Sentence:
        if self.token.kind == "end":
            raise self.wrong("there is no rule", "write one as in mid crosses above 100000")
        scope = self.scope()
        condition = self.condition()
        until = self.condition() if self.take("until") else None
        self.end()
        return Sentence(scope, condition, until)

    def scope(self) -> tuple[str, ...]:
        found: list[str] = []
        while self.token.kind == "instrument" and self.split(self.token) is None:
            token = self.next()
            self.instrument(token.text, token)
            found.append(token.text)
            self.dangling(token)
            if not self.take(","):
                break
        self.of_groups = bool(found) and all(name.startswith(GROUP) for name in found)
        return tuple(dict.fromkeys(found))

    def dangling(self, token: Token) -> None:
        """An instrument alone, and then a comparison: the field is missing, or wrong."""
        if self.token.kind == "end" or self.at(*COMPARISONS, "+", "*", "/", "is", "crosses", *MOVES):
            symbol, dot, field = token.text.partition(".")
            if dot:
                raise self.no_field(field, token, len(symbol) + 1)
            raise self.unexpected("a field", f"write {token.text} mid, or {token.text}.mid")

    def condition(self) -> Condition:
        return self.must(self.lasting())

    def lasting(self) -> Node:
        node = self.chain("or", Or, lambda: self.chain("and", And, self.single))
        links = 0
        while (token := self.take("for")) is not None:
            links = self.linked(links, token)
            node = Lasting(self.must(node, token), self.span("how long"))
        return node

    def chain(self, word: str, made: type[And] | type[Or], part: Callable[[], Node]) -> Node:
        first = part()
        parts = [first]
        while (token := self.take(word)) is not None:
            self.must(parts[-1], token)
            parts.append(self.must(part()))
        return first if len(parts) == 1 else made(tuple(self.must(p) for p in parts))

    def single(self) -> Node:
        if self.take("not"):
            return self.deeper(lambda: Not(self.must(self.single())))
        return self.comparison()

    def comparison(self) -> Node:
        start = self.token
        left = self.sum()
        if isinstance(left, Condition):
            return left
        if isinstance(left, Name) and (left.field in fields.WORDS or self.at("is")):
            return self.words(left, start)
        if self.at(*COMPARISONS):
            op: Any = self.next().text
            return self.comparable(Compare(op, self.must_number(left, start), self.side()), start)
        if self.take("crosses"):
            way: Any = self.next().text if self.at("above", "below") else "either"
            return Cross(way, self.must_number(left, start), self.side())
        if self.at(*MOVES):
            return self.change(self.must_number(left, start))
        if self.at("="):
            raise self.wrong("= alone compares nothing", "write == for equal, or one of > >= < <=")
        if self.at("above", "below"):
            sign = ">" if self.token.text == "above" else "<"
            raise self.unexpected("a comparison", f"write {sign}, or crosses {self.token.text}")
        return left

    def side(self) -> Expression:
        """The right side of a comparison."""
        start = self.token
        return self.must_number(self.sum(), start)

    def comparable(self, found: Compare, start: Token) -> Compare:
        """A number's unit must fit the field's: one that counts in basis points already is not 0.0005."""
        for field, number in ((found.left, found.right), (found.right, found.left)):
            if isinstance(field, Name) and isinstance(number, Number) and number.unit in {"%", "bps"}:
                unit = fields.find(field.field).unit
                if unit in {"%", "bps"}:
                    plain = str(Number(round(number.amount / AMOUNTS[unit], 9)))
                    raise self.wrong(f"{field.field} counts in {unit} already", f"write {plain} instead of {number}", start)
        return found

    def change(self, of: Expression) -> Change:
        move: Any = self.next().text
        if not self.take("by"):
            raise self.unexpected("by", f"write it as in {move} by 1% within 5m")
        token = self.token
        by = self.number()
        if by.value <= 0:
            raise self.wrong("a change is by more than nothing", f"write it as in {move} by 1% within 5m", token)
        if not self.take("within"):
            raise self.unexpected("within", f"write it as in {move} by {by} within 5m")
        return Change(move, of, by, self.span("how long at most"))

    def words(self, what: Name, start: Token) -> Is:
        known = fields.WORDS.get(what.field)
        if known is None:
            raise self.wrong(f"{what.field} is a number", "compare it, as in > or crosses above", start)
        if not self.take("is"):
            raise self.unexpected("is", f"write {what.field} is {known[0]}, or is not")
        negated = self.take("not") is not None
        found = [self.one_of(known, what.field)]
        while self.at("or", ",") and self.tokens[self.place + 1].text in known:
            self.next()
            found.append(self.next().text)
        return Is(what, tuple(dict.fromkeys(found)), negated)

    def one_of(self, known: tuple[str, ...], field: str) -> str:
        if self.token.kind == "word" and self.token.text in known:
            return self.next().text
        near = nearest(self.token.text, known) if self.token.text else ""
        raise self.unexpected(f"a {field}", near or f"it is one of {', '.join(known)}")

    # Numbers

    def sum(self) -> Node:
        return self.arithmetic(("+", "-"), self.product)

    def product(self) -> Node:
        return self.arithmetic(("*", "/"), self.factor)

    def arithmetic(self, signs: tuple[str, ...], part: Callable[[], Node]) -> Node:
        start = self.token
        left, links = part(), 0
        while (sign := self.take(*signs)) is not None:
            links = self.linked(links, sign)
            right_start = self.token
            op: Any = sign.text
            left = Arithmetic(op, self.must_number(left, start), self.must_number(part(), right_start))
        return left

    def factor(self) -> Node:
        token = self.token
        if self.take("-"):
            start = self.token
            return self.deeper(lambda: Minus(self.must_number(self.factor(), start)))
        if self.take("("):
            return self.deeper(self.bracket)
        if token.kind == "number":
            return self.number()
        if token.kind == "instrument":
            return self.of_instrument()
        if token.kind == "word" and token.text not in KEYWORDS:
            self.next()
            return self.call(token) if self.at("(") else self.name(token.text, token)
        raise self.unexpected("a field or a number", "an instrument is named first, or as in binance:BTC-USDT.mid")

    def bracket(self) -> Node:
        inner = self.lasting()
        self.close()
        return inner

    def close(self) -> None:
        if not self.take(")"):
            raise self.unexpected(")")

    def call(self, name: Token) -> Node:
        self.next()
        if name.text == "abs":
            start = self.token
            inner = self.must_number(self.deeper(self.sum), start)
            self.close()
            return Abs(inner)
        if name.text not in FUNCTIONS:
            meant = _MEANT.get(name.text)
            near = f"did you mean {meant}?" if meant else nearest(name.text, [*FUNCTIONS, "abs"])
            raise self.wrong(f"there is no function {name.text}", near or f"there are abs, {', '.join(FUNCTIONS)}", name)
        start = self.token
        of = self.must_number(self.deeper(self.sum), start)
        if not self.take(","):
            raise self.unexpected("a comma and a time", f"write {name.text}({of}, 5m)")
        span = self.span("over how long")
        self.close()
        function: Any = name.text
        return self.windowed(Window(function, of, span), name)

    def windowed(self, found: Window, at: Token) -> Window:
        known = [fields.find(name.field) for name in names(found.of)]
        happening = any(field.happening for field in known)
        if not known:
            raise self.wrong(f"{found.function} of what never changes", "name a field, as in avg(mid, 5m)", at)
        if found.function == "count" and not isinstance(found.of, Name):
            raise self.wrong("count counts how often one field was told", "write it as in count(price, 10s)", at)
        if found.function == "sum" and not happening:
            hint = f"write avg({found.of}, …); sums are of size, notional, liquidation_size and of bars"
            raise self.wrong("there is no sum of what holds", hint, at)
        if found.function == "median" and happening:
            raise self.wrong("the median is of what holds, as mid or price", "write avg, min or max", at)
        if happening and len({name for name in names(found.of) if fields.find(name.field).happening}) > 1:
            raise self.wrong("a window follows one kind of event", "one field of size, notional and the like", at)
        return found

    # Names

    def name(self, text: str, token: Token, instrument: str = "", skip: int = 0) -> Name:
        try:
            found = fields.find(text)
        except UsageError as e:
            raise self.no_field(text, token, skip, str(e)) from None
        if (instrument.startswith(GROUP) or (self.of_groups and not instrument)) and not fields.of_group(found):
            raise self.wrong(f"a group has no {text}", "it has bid, ask, mid, arbitrage_bps, basis.2 and so on", token)
        return Name(found.name, instrument)

    def no_field(self, text: str, token: Token, skip: int, why: str = "") -> RuleError:
        close = nearest(text, fields.FIELDS, 0.85)
        specific = why if why and not why.startswith("there is no metric") else ""
        near = close or specific or nearest(text, fields.known_names())
        hint = near or "fields and metrics are listed in docs/alerts.md and by `tapeline metrics`"
        return RuleError(f"there is no field {text!r}", self.source, token.at + skip, hint, token.length - skip)

    def split(self, token: Token) -> tuple[str, str] | None:
        """Instrument and field of `coinbase:BTC-USD.mid`; symbols may have points, too: the longest field that there is."""
        parts = token.text.split(".")
        for i in range(1, len(parts)):
            field = ".".join(parts[i:])
            if fields.exists(field):
                return ".".join(parts[:i]), field
        return None

    def of_instrument(self) -> Name:
        token = self.next()
        found = self.split(token)
        if found is None:
            symbol, dot, field = token.text.partition(".")
            if dot:
                raise self.no_field(field, token, len(symbol) + 1)
            raise self.wrong(f"{token.text}: a field is missing", f"write {token.text}.mid", token)
        instrument, field = found
        if instrument.endswith("*"):
            raise self.wrong(f"{instrument} are many instruments", f"name them first: {instrument} {field} …", token)
        self.instrument(instrument, token)
        return self.name(field, token, instrument, len(instrument) + 1)

    def instrument(self, text: str, token: Token) -> None:
        label, _, symbol = text.partition(":")
        before, colon, _ = symbol.rpartition(":")
        if colon and before.rpartition("-")[2] in VENUES:
            raise self.wrong("two instruments without a blank between them", "write blanks around the minus sign", token)
        if label not in VENUES and label != "group" and not is_simulated(label):
            near = nearest(label, [*VENUES, "sim", "group"])
            raise self.wrong(f"there is no venue {label!r}", near or f"venues are {', '.join(VENUES)}", token)

    # Kinds of nodes

    def must(self, node: Node, token: Token | None = None) -> Condition:
        if isinstance(node, Condition):
            return node
        if token is not None:
            raise self.wrong(f"{node} is a number, and no condition", "compare it, as in > 5", token)
        raise self.unexpected("a comparison", self.nearest_keyword() or f"compare {node}, as in > or crosses above")

    def must_number(self, node: Node, token: Token) -> Expression:
        if not isinstance(node, Expression):
            raise self.wrong("this is a condition, and no number", "join conditions by and and or", token)
        if isinstance(node, Name) and node.field in fields.WORDS:
            raise self.wrong(f"{node.field} is a word", f"write {node.field} is {fields.WORDS[node.field][0]}", token)
        return node
