"""Pools of made-up names, streets and places, and how an address or a number is spelled from them.

All people are invented. Numbers are formed by the numbering plan of the country so that validators accept them.
"""

from __future__ import annotations

import numpy as np

FIRST = {
    (
        "de",
        True,
    ): ["Anna", "Lena", "Julia", "Laura", "Katharina", "Sophie", "Marie", "Johanna", "Lisa", "Sarah", "Hannah", "Clara", "Emilia", "Charlotte", "Ida", "Greta", "Frieda", "Paula", "Mathilda", "Luise", "Sabine", "Petra", "Monika", "Andrea", "Claudia", "Susanne", "Birgit", "Heike", "Martina", "Karin", "Ursula", "Renate", "Ingrid", "Helga", "Christine", "Elke", "Gisela", "Jana", "Nadine", "Sandra", "Stefanie", "Melanie", "Yasmin", "Aylin", "Elif", "Ewa", "Milena", "Svetlana", "Carla", "Theresa"],
    (
        "de",
        False,
    ): ["Lukas", "Jonas", "Leon", "Finn", "Paul", "Felix", "Maximilian", "Moritz", "Jakob", "Anton", "Emil", "Oskar", "Theo", "Karl", "Johannes", "Matthias", "Sebastian", "Florian", "Tobias", "Christian", "Andreas", "Stefan", "Michael", "Thomas", "Martin", "Peter", "Klaus", "Wolfgang", "Jürgen", "Bernd", "Uwe", "Dieter", "Ralf", "Holger", "Sven", "Jan", "Nils", "Tim", "Dennis", "Marcel", "Mehmet", "Emre", "Cem", "Piotr", "Marek", "Ivan", "Dragan", "Georg", "Benedikt", "Valentin"],
    (
        "en",
        True,
    ): ["Olivia", "Amelia", "Isla", "Ava", "Emily", "Grace", "Freya", "Charlotte", "Lily", "Sophie", "Ella", "Alice", "Ruby", "Daisy", "Eleanor", "Margaret", "Susan", "Karen", "Helen", "Sarah", "Emma", "Lucy", "Hannah", "Rachel", "Laura", "Fleur", "Sanne", "Lotte", "Femke", "Anouk"],
    (
        "en",
        False,
    ): ["Oliver", "George", "Harry", "Noah", "Jack", "Leo", "Arthur", "Oscar", "Charlie", "Henry", "William", "Thomas", "James", "David", "Andrew", "Mark", "Paul", "Simon", "Stephen", "Peter", "Daniel", "Adam", "Luke", "Ben", "Sam", "Daan", "Bram", "Sven", "Thijs", "Jasper"],
}
NICKNAMES = {
    "Katharina": "Kathi", "Johanna": "Hanna", "Charlotte": "Lotte", "Stefanie": "Steffi", "Susanne": "Susi",
    "Christine": "Tine", "Maximilian": "Max", "Johannes": "Hannes", "Sebastian": "Basti", "Matthias": "Matze",
    "Tobias": "Tobi", "Michael": "Micha", "Thomas": "Tom", "Andreas": "Andi", "Christian": "Chris",
    "Florian": "Flo", "Benedikt": "Bene", "Theresa": "Resi", "William": "Bill", "Margaret": "Peggy",
    "Eleanor": "Nell", "Andrew": "Andy", "Stephen": "Steve", "Daniel": "Dan", "Thijs": "Ties", "Julia": "Jule",
}  # fmt: skip
_DE_STEMS = ["Berg", "Feld", "Wald", "Stein", "Bach", "Hof", "Brunn", "Linden", "Eichen", "Hollen", "Wolf", "Fuchs", "Adler", "Roth", "Schwarz", "Weiss", "Klein", "Gross", "Lang", "Neu", "Alt", "Ober", "Nieder", "Winter", "Sommer", "Kirch", "Stern", "Gold", "Silber", "Kauf", "Zimmer", "Schuh", "Hand", "Acker", "Garten", "Wiesen", "Moor", "Heide", "Tal", "Seiden"]
_DE_ENDINGS = [
    "mann",
    "er",
    "ner",
    "meier",
    "huber",
    "bauer",
    "müller",
    "schmidt",
    "hardt",
    "rich",
    "inger",
    "brand",
]
_EN_STEMS = (
    ["Ash", "Brad", "Clay", "Darn", "Elm", "Fair", "Green", "Hart", "Hol", "Lang", "Mar", "New", "North", "Oak", "Pem", "Rad", "Sel", "Stan", "Thorn", "Wex"]
)
_EN_ENDINGS = ["ford", "ley", "ton", "field", "wood", "worth", "well", "by", "wick", "son"]
LAST = {
    "de": ["Müller Schmidt Schneider Fischer Weber Meyer Wagner Becker Schulz Hoffmann Koch Bauer Richter Klein Wolf Schröder Neumann Schwarz Zimmermann Braun Krüger Hartmann Lange Krause Lehmann Yılmaz Kaya Demir Kowalski Nowak Nguyen Petrović von Bergen"][0].replace("von Bergen", "von~Bergen").split()
    + [stem + ending for stem in _DE_STEMS for ending in _DE_ENDINGS],
    "en": ["Smith", "Jones", "Taylor", "Brown", "Williams", "Wilson", "Davies", "Evans", "Thomas", "Johnson", "Roberts", "Walker", "Wright", "Hughes", "O'Brien", "de~Vries", "Jansen", "Bakker", "Visser", "Patel", "Khan"]
    + [stem + ending for stem in _EN_STEMS for ending in _EN_ENDINGS],
}  # fmt: skip
STREETS = {
    "de": ["Hauptstraße", "Bahnhofstraße", "Gartenweg", "Schulstraße", "Lindenallee", "Am~Markt", "Dorfstraße", "Bergstraße", "Rosenweg", "Kirchgasse", "Waldstraße", "Mühlenweg", "Goethestraße", "Schillerstraße", "Friedrichstraße", "Ringstraße", "Wiesengrund", "Feldweg", "Uferstraße", "Birkenweg", "Talstraße", "Sonnenhang", "Marktplatz", "Poststraße"],
    "en": ["High~Street", "Station~Road", "Church~Lane", "Mill~Road", "Victoria~Road", "Park~Avenue", "Green~Lane", "Kings~Road", "Queens~Road", "The~Crescent", "Manor~Road", "West~Street", "Dorpsstraat", "Kerkstraat", "Molenweg", "Stationsweg", "Julianalaan"],
}
# city, first digits of its postcodes
CITIES: dict[str, list[tuple[str, str]]] = {
    "DE": [("Berlin", "101"), ("Hamburg", "203"), ("München", "803"), ("Köln", "506"), ("Frankfurt am Main", "603"), ("Stuttgart", "701"), ("Leipzig", "041"), ("Dresden", "010"), ("Nürnberg", "904"), ("Bremen", "281"), ("Freiburg", "791"), ("Kempten", "874"), ("Garmisch-Partenkirchen", "824"), ("Göttingen", "370"), ("Kassel", "341"), ("Münster", "481")],
    "AT": [("Wien", "10"), ("Graz", "80"), ("Innsbruck", "60"), ("Salzburg", "50"), ("Linz", "40")],
    "CH": [("Zürich", "80"), ("Bern", "30"), ("Basel", "40"), ("Luzern", "60"), ("Chur", "70")],
    "GB": [("London", "SW1A "), ("Manchester", "M14 "), ("Leeds", "LS6 "), ("Edinburgh", "EH3 "), ("Bristol", "BS8 ")],
    "NL": [("Amsterdam", "101"), ("Utrecht", "351"), ("Rotterdam", "301"), ("Arnhem", "681")],
}  # fmt: skip
_FOLD = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ı": "i", "ć": "c", "'": "", "~": "", " ": ""}
)


def first_name(language: str, woman: bool, draw: int) -> str:
    """A first name; `draw` is any non-negative number."""
    pool = FIRST[language, bool(woman)]
    return pool[draw % len(pool)]


def last_name(language: str, draw: int) -> str:
    """A surname; `draw` is any non-negative number."""
    pool = LAST[language]
    return pool[draw % len(pool)].replace("~", " ")


def street_name(language: str, draw: int, house: int) -> str:
    """Street and house number in the order of the country."""
    pool = STREETS[language]
    street = pool[draw % len(pool)].replace("~", " ")
    return f"{street} {house}" if language == "de" else f"{house} {street}"


def postcode(country: str, city: int, household: int) -> str:
    """A postcode of the city, the same for the whole household."""
    start = CITIES[country][city][1]
    if country == "GB":
        return f"{start}{household % 9 + 1}{'ABDEF'[household % 5]}{'GHJLN'[household // 5 % 5]}"
    if country == "NL":
        return f"{start}{household % 10} {'ABCDE'[household % 5]}{'KLMNP'[household // 5 % 5]}"
    return start + str(household % 97 % (10 ** (5 - len(start) if country == "DE" else 2))).zfill(
        (5 if country == "DE" else 4) - len(start)
    )


def local_part(first: str, last: str, draw: int, birth_year: int) -> str:
    """The part of an e-mail address before the @, in one of the usual fashions."""
    f, s = first.lower().translate(_FOLD), last.lower().translate(_FOLD)
    style = draw % 8
    return [
        f"{f}.{s}", f"{f}.{s}{birth_year % 100:02d}", f"{f}{s}{draw % 89 + 10}", f"{f[0]}.{s}",
        f"{s}.{f}", f"{f}_{s}", f"{f}{birth_year}", f"{f[0]}{s}{draw // 8 % 899 + 100}",
    ][style]  # fmt: skip


def mobile_number(country: str, person: int) -> str:
    """A mobile number in international form, one for each person id."""
    mixed = person * 7_368_787 % 9_999_991
    if country == "DE":
        return (
            f"+4917{(0, 2, 3, 6, 7, 8, 9)[person % 7]}{mixed:07d}"
            if person % 2
            else f"+49151{mixed:07d}{person % 10}"
        )
    if country == "AT":
        return f"+43664{mixed:07d}"
    if country == "CH":
        return f"+417{(6, 8, 9)[person % 3]}{mixed % 8_999_999 + 1_000_000:07d}"
    if country == "GB":
        return f"+447{400 + person % 99}{mixed % 1_000_000:06d}"
    return f"+316{(1, 2, 3, 4, 5)[person % 5]}{mixed:07d}"


def landline_number(country: str, household: int) -> str:
    """The number of the household, in international form."""
    mixed = household * 3_571_793 % 8_999_993 + 1_000_000
    area = {"DE": "+4930", "AT": "+431", "CH": "+4144", "GB": "+442079", "NL": "+3120"}[country]
    return area + str(mixed)[: 6 if country == "GB" else 7]


def typo(word: str, draw: int) -> str:
    """One slip of the finger: two neighbours swapped, one letter lost or doubled."""
    if len(word) < 4:
        return word
    at = 1 + draw % (len(word) - 2)
    kind = draw // 7 % 3
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    return word[:at] + word[at + 1 :] if kind == 1 else word[:at] + word[at] + word[at:]


def base36(value: int, width: int) -> str:
    """`value` in lower-case letters and digits, padded to `width`."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    while value:
        value, digit = divmod(value, 36)
        text = digits[digit] + text
    return text.rjust(width, "0")[-width:]


def mix(values: np.ndarray, salt: int) -> np.ndarray:
    """64-bit hash of integers (splitmix64): reproducible ids that look random."""
    x = values.astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 & (2**64 - 1))
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
