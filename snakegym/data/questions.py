"""Questions and answers made up by rule: eight topics, a text that needs no download and has no owner.

Of each topic there are facts, asked for in several ways (what a model has to remember), and little stories,
each followed by a question about it (what it has to find in the text). Topics share the language and little
else, so that a node with some of them cannot teach the others.
"""

from __future__ import annotations

from itertools import product
from typing import Final, NamedTuple

import numpy as np

from snakegym.data.text import Pair, Texts

STORIES = 80
"""Of a topic."""
SEED = 20252
"""Fixed: the text is the same for everybody."""
NAMES: Final = ["Anna", "Boris", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas"]


class Topic(NamedTuple):
    """What is said of a topic; `{}` stands for the subject, `{0}`, `{1}` and `{2}` for name and words."""

    name: str
    facts: str
    """`subject=value` of each, with blanks between them."""
    asks: tuple[str, ...]
    says: str
    """Answer to each of `asks`: `{0}` is the subject, `{1}` its value."""
    story: str
    """`{0}` is a name, `{1}` and `{2}` are of `first` and `second`."""
    first: str
    second: str
    about: tuple[tuple[str, str], ...]
    """Questions about the story, each with its answer."""


TOPICS: Final = (
    Topic(
        "animals",
        "cat=meow dog=woof cow=moo duck=quack sheep=baa horse=neigh pig=oink lion=roar bee=buzz owl=hoot "
        "snake=hiss frog=croak mouse=squeak rooster=crow",
        ("What does the {} say?", "Which sound does a {} make?", "How does a {} call?", "The {} goes how?"),
        "The {0} says {1}.",
        "{0} feeds a {1} {2} every morning.",
        "brown black spotted little hungry sleepy",
        "cat dog duck sheep horse goose rabbit",
        (
            ("What does {0} feed?", "{0} feeds a {1} {2}."),
            ("Who feeds the {2}?", "It is {0} who feeds the {2}."),
        ),
    ),
    Topic(
        "cities",
        "Paris=France Rome=Italy Madrid=Spain Lisbon=Portugal Vienna=Austria Athens=Greece Oslo=Norway "
        "Berlin=Germany Cairo=Egypt Tokyo=Japan Lima=Peru Delhi=India Dublin=Ireland Warsaw=Poland",
        ("Where is {}?", "In which country is {}?", "To which country does {} belong?", "{} lies where?"),
        "{0} is the capital of {1}.",
        "{0} goes to {2} by {1}.",
        "train bus bicycle ship car tram",
        "Paris Rome Madrid Vienna Athens Oslo Berlin",
        (
            ("How does {0} go to {2}?", "By {1}, {0} goes to {2}."),
            ("Where does {0} go by {1}?", "By {1}, {0} goes to {2}."),
        ),
    ),
    Topic(
        "colours",
        "sky=blue grass=green snow=white blood=red coal=black lemon=yellow carrot=orange plum=purple "
        "chocolate=brown ash=grey leaf=green tomato=red milk=white banana=yellow",
        ("Which colour has {}?", "Tell me the colour of {}.", "What does {} look like?", "{}: which colour?"),
        "The colour of {0} is {1}.",
        "{0} paints the {2} {1}.",
        "blue green white red yellow purple",
        "door wall fence table roof boat chair",
        (
            ("What colour is the {2} now?", "Now the {2} is {1}."),
            ("Who painted the {2}?", "The {2} was painted by {0}."),
        ),
    ),
    Topic(
        "numbers",
        "two=four three=six four=eight five=ten six=twelve seven=fourteen eight=sixteen nine=eighteen "
        "ten=twenty eleven=twenty-two twelve=twenty-four fifteen=thirty twenty=forty fifty=hundred",
        ("What is twice {}?", "Double {}, please.", "How much is {} and {}?", "Two times {} is what?"),
        "Twice {0} makes {1}.",
        "{0} buys {1} {2} at the market.",
        "two three four five six seven",
        "apples pears eggs plums nuts onions rolls",
        (
            ("How many {2} did {0} buy?", "It was {1} {2} that {0} bought."),
            ("What did {0} buy?", "It was {1} {2} that {0} bought."),
        ),
    ),
    Topic(
        "opposites",
        "hot=cold big=small old=young fast=slow high=low long=short full=empty light=dark dry=wet "
        "rich=poor hard=soft early=late loud=quiet wide=narrow",
        ("What is the opposite of {}?", "Not {}, but what?", "Which word is against {}?", "{} or what else?"),
        "The opposite of {0} is {1}.",
        "{0} wants the {2} {1}, not otherwise.",
        "hot cold big small soft hard",
        "soup bread pillow coat cake tea bed",
        (
            ("How does {0} want the {2}?", "As {1} as can be, {0} wants the {2}."),
            ("What does {0} want {1}?", "The {2} should be {1} for {0}."),
        ),
    ),
    Topic(
        "music",
        "violin=strings flute=breath drum=sticks piano=keys trumpet=breath harp=strings organ=keys "
        "cello=strings gong=mallets clarinet=breath guitar=strings bell=hammers horn=breath lute=strings",
        ("How is a {} played?", "What sounds in a {}?", "What does one need for the {}?", "A {} takes what?"),
        "One plays the {0} with {1}.",
        "On {1} {0} practises the {2}.",
        "Monday Tuesday Wednesday Thursday Friday Saturday",
        "violin flute drum piano trumpet harp organ",
        (
            ("When does {0} practise?", "The {2} is practised on {1}."),
            ("What does {0} play on {1}?", "On {1} the {2} is played by {0}."),
        ),
    ),
    Topic(
        "weather",
        "January=snow February=frost March=wind April=rain May=sunshine June=warmth July=heat "
        "August=thunder September=mist October=storms November=fog December=ice spring=showers autumn=clouds",
        ("What comes in {}?", "What does {} bring?", "How is the weather in {}?", "In {} one expects what?"),
        "In {0} expect {1}.",
        "{0} takes {2} along because of the {1}.",
        "rain wind snow sun fog hail",
        "boots gloves goggles scarves hats umbrellas cloaks",
        (
            ("Why does {0} take {2}?", "Because there is {1}, {0} has {2}."),
            ("What is {0} wearing?", "Because there is {1}, {0} has {2}."),
        ),
    ),
    Topic(
        "work",
        "baker=bread tailor=suits smith=horseshoes potter=jugs carpenter=tables cobbler=shoes brewer=beer "
        "weaver=cloth painter=pictures poet=verses mason=walls miller=flour gardener=roses clockmaker=clocks",
        ("What does a {} make?", "What comes from the {}?", "For what does one pay a {}?", "A {} does what?"),
        "A good {0} makes {1}.",
        "{0} pays the {2} {1} coins.",
        "two three five nine twelve twenty",
        "baker tailor smith potter cobbler weaver mason",
        (
            ("How much does the {2} get?", "The {2} gets {1} coins from {0}."),
            ("Who gets {1} coins?", "They go to the {2}, and {0} pays."),
        ),
    ),
)


def make_questions() -> Texts:
    """All pairs of question and answer, no two alike, by topic."""
    rng = np.random.default_rng(SEED)
    pairs: list[Pair] = []
    topics: list[int] = []
    for i, topic in enumerate(TOPICS):
        own = [*_facts(topic), *_stories(topic, rng)]
        pairs += own
        topics += [i] * len(own)
    return Texts(pairs, np.array(topics, dtype=np.int64), tuple(topic.name for topic in TOPICS))


def _facts(topic: Topic) -> list[Pair]:
    known = [fact.split("=") for fact in topic.facts.split()]
    return [
        (ask.replace("{}", subject), topic.says.format(subject, value))
        for subject, value in known
        for ask in topic.asks
    ]


def _stories(topic: Topic, rng: np.random.Generator) -> list[Pair]:
    told = list(product(NAMES, topic.first.split(), topic.second.split(), topic.about))
    chosen = rng.choice(len(told), STORIES, replace=False)
    return [
        (f"{topic.story} {about[0]}".format(name, first, second), about[1].format(name, first, second))
        for name, first, second, about in (told[i] for i in chosen)
    ]
