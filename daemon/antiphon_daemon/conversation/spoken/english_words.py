"""What is said in English for what is written short: the tables of `english.py`."""

from __future__ import annotations

TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor", "Rev": "Reverend",
    "Hon": "Honorable", "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Gen": "General",
    "Col": "Colonel", "Maj": "Major", "Capt": "Captain", "Lt": "Lieutenant", "Sgt": "Sergeant", "Pres": "President",
    "St": "Saint", "Mt": "Mount", "Ft": "Fort",
}  # fmt: skip
"""Before a name."""

STREETS = {
    "St": "Street", "Dr": "Drive", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane", "Hwy": "Highway",
    "Sq": "Square", "Pl": "Place", "Ct": "Court", "Pkwy": "Parkway",
}  # fmt: skip
"""After a name."""

ABBREVIATIONS = {
    "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "vs.": "versus", "v.s.": "versus",
    "approx.": "approximately", "a.k.a.": "also known as", "dept.": "department", "est.": "established",
    "max.": "maximum", "min.": "minimum", "avg.": "average", "temp.": "temperature", "misc.": "miscellaneous",
    "incl.": "including", "excl.": "excluding", "ext.": "extension", "tel.": "telephone", "tbsp.": "tablespoons",
    "tsp.": "teaspoons", "cf.": "compare", "et al.": "and others", "c.": "circa", "ca.": "circa", "Jr.": "Junior",
    "Sr.": "Senior", "Inc.": "Incorporated", "Ltd.": "Limited", "Corp.": "Corporation", "Co.": "Company",
    "Bros.": "Brothers", "Assn.": "Association", "Univ.": "University", "Govt.": "Government", "Ph.D.": "P.H.D.",
    "w/o": "without", "w/": "with ", "b/c": "because",
}  # fmt: skip

BEFORE_NUMBERS = {
    "No.": "number", "no.": "number", "Nos.": "numbers", "Fig.": "figure", "fig.": "figure", "Vol.": "volume",
    "vol.": "volume", "Ch.": "chapter", "ch.": "chapter", "Sec.": "section", "p.": "page", "pp.": "pages",
    "Art.": "article", "Eq.": "equation", "Ed.": "edition", "Apt.": "apartment", "Rm.": "room", "#": "number ",
}  # fmt: skip

ACRONYMS = {
    "FAQ": "F.A.Q.", "IQ": "I.Q.", "EV": "E.V.", "ETA": "E.T.A.", "SOS": "S.O.S.", "WHO": "W.H.O.", "SIM": "sim",
    "WWII": "World War Two", "WWI": "World War One", "TBD": "T.B.D.", "IoT": "I.O.T.", "GHz": "gigahertz",
}  # fmt: skip
"""Those that a phonemizer reads wrongly; it knows the others."""

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
SHORT_MONTHS = {
    "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "Jun": 6, "Jul": 7, "Aug": 8, "Sep": 9, "Sept": 9, "Oct": 10, "Nov": 11,
    "Dec": 12,
}  # fmt: skip
SHORT_DAYS = {
    "Mon": "Monday", "Tue": "Tuesday", "Tues": "Tuesday", "Wed": "Wednesday", "Thu": "Thursday", "Thur": "Thursday",
    "Thurs": "Thursday", "Fri": "Friday", "Sat": "Saturday", "Sun": "Sunday",
}  # fmt: skip

CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"), "US$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"), "£": ("pound", "pounds", "penny", "pence"), "¥": ("yen", "yen", "", ""),
    "₩": ("won", "won", "", ""), "₹": ("rupee", "rupees", "paisa", "paise"),
    "USD": ("dollar", "dollars", "cent", "cents"), "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"), "JPY": ("yen", "yen", "", ""), "KRW": ("won", "won", "", ""),
}  # fmt: skip
"""One, many, one hundredth, many hundredths."""

MAGNITUDES = {
    "k": "thousand", "K": "thousand", "M": "million", "m": "million", "B": "billion", "bn": "billion",
    "T": "trillion", "thousand": "thousand", "million": "million", "billion": "billion", "trillion": "trillion",
}  # fmt: skip

UNITS = {
    "km/h": ("kilometer per hour", "kilometers per hour"), "kph": ("kilometer per hour", "kilometers per hour"),
    "mph": ("mile per hour", "miles per hour"), "m/s": ("meter per second", "meters per second"),
    "m/s²": ("meter per second squared", "meters per second squared"),
    "km²": ("square kilometer", "square kilometers"), "m²": ("square meter", "square meters"),
    "cm²": ("square centimeter", "square centimeters"), "m³": ("cubic meter", "cubic meters"),
    "cm³": ("cubic centimeter", "cubic centimeters"), "sq ft": ("square foot", "square feet"),
    "km": ("kilometer", "kilometers"), "cm": ("centimeter", "centimeters"), "mm": ("millimeter", "millimeters"),
    "µm": ("micrometer", "micrometers"), "nm": ("nanometer", "nanometers"), "m": ("meter", "meters"),
    "mi": ("mile", "miles"), "ft": ("foot", "feet"), "yd": ("yard", "yards"), "in.": ("inch", "inches"),
    "kg": ("kilogram", "kilograms"), "mg": ("milligram", "milligrams"), "µg": ("microgram", "micrograms"),
    "g": ("gram", "grams"), "lbs": ("pound", "pounds"), "lb": ("pound", "pounds"), "oz": ("ounce", "ounces"),
    "mL": ("milliliter", "milliliters"), "ml": ("milliliter", "milliliters"), "L": ("liter", "liters"),
    "l": ("liter", "liters"), "gal": ("gallon", "gallons"), "tbsp": ("tablespoon", "tablespoons"),
    "tsp": ("teaspoon", "teaspoons"), "kWh": ("kilowatt hour", "kilowatt hours"),
    "mAh": ("milliampere hour", "milliampere hours"), "kW": ("kilowatt", "kilowatts"),
    "MW": ("megawatt", "megawatts"), "W": ("watt", "watts"), "kV": ("kilovolt", "kilovolts"), "V": ("volt", "volts"),
    "GHz": ("gigahertz",) * 2, "MHz": ("megahertz",) * 2, "kHz": ("kilohertz",) * 2, "Hz": ("hertz",) * 2,
    "TB": ("terabyte", "terabytes"), "GB": ("gigabyte", "gigabytes"), "MB": ("megabyte", "megabytes"),
    "KB": ("kilobyte", "kilobytes"), "kB": ("kilobyte", "kilobytes"),
    "Gbps": ("gigabit per second", "gigabits per second"), "Mbps": ("megabit per second", "megabits per second"),
    "kbps": ("kilobit per second", "kilobits per second"), "dB": ("decibel", "decibels"), "hrs": ("hour", "hours"),
    "hr": ("hour", "hours"), "h": ("hour", "hours"), "mins": ("minute", "minutes"), "min": ("minute", "minutes"),
    "secs": ("second", "seconds"), "sec": ("second", "seconds"), "s": ("second", "seconds"),
    "ms": ("millisecond", "milliseconds"), "fps": ("frame per second", "frames per second"),
    "rpm": ("revolution per minute", "revolutions per minute"), "kcal": ("kilocalorie", "kilocalories"),
    "cal": ("calorie", "calories"), "hPa": ("hectopascal", "hectopascals"), "kPa": ("kilopascal", "kilopascals"),
    "psi": ("P.S.I.",) * 2, "ppm": ("part per million", "parts per million"),
    "°C": ("degree Celsius", "degrees Celsius"), "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "° C": ("degree Celsius", "degrees Celsius"), "° F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"), "K": ("kelvin", "kelvins"), "%": ("percent",) * 2, "‰": ("per mille",) * 2,
    "¢": ("cent", "cents"), "µs": ("microsecond", "microseconds"), "px": ("pixel", "pixels"),
}  # fmt: skip
"""One and many."""

SPACED_UNITS = frozenset({"K", "m", "M"})
"""Units that are magnitudes when they touch their number (`4K`, `5M`)."""

DENOMINATORS = {2: ("half", "halves"), 4: ("quarter", "quarters")}

ROMAN_COUNTED = (
    "Chapter", "Part", "Act", "Scene", "Volume", "Section", "Book", "Phase", "Type", "Level", "Stage", "Class",
    "Appendix", "Article", "Title", "Episode", "War", "Bowl", "Mark", "Rocky", "Fantasy", "Unit", "Step", "Figure",
)  # fmt: skip
"""After these a Roman number is a cardinal."""

ROMAN_RULERS = (
    "King", "Queen", "Pope", "Louis", "Henry", "Elizabeth", "George", "Charles", "Edward", "William", "Richard",
    "James", "Paul", "Benedict", "Francis", "Philip", "Frederick", "Napoleon", "Nicholas", "Peter", "Catherine",
    "Alexander", "Ivan", "Ramses", "Leo", "Pius", "Gregory", "Clement", "Innocent", "Mary", "Wilhelm", "Otto",
)  # fmt: skip
"""After these it is an ordinal."""

SIGNS = {
    "+": "plus", "=": "equals", "×": "times", "*": "times", "÷": "divided by", "<": "is less than",
    ">": "is greater than", "≤": "is at most", "≥": "is at least", "≈": "is about", "±": "plus or minus",
    "≠": "is not equal to", "·": "times", "^": "to the power of",
}  # fmt: skip
"""Between numbers."""
