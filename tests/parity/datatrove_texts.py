"""Texts written for these tests: name -> text. Each variant aims at one rule of datatrove's filters."""

WALK = (
    "The path to the mill follows the river for about two miles, and most people who walk it have a dog with them. "
    "In spring the lower half floods; you can still get through, but you'll need boots. "
    "Nobody has repaired the second gate since 2019, so lift it, don't push it!\n"
    "At the bend there is a stone bench that was put up by the baker's family. "
    "It isn't marked on the map. Have you ever sat there in the early morning? "
    "The light comes through the alders and the whole valley seems to be made of glass.\n"
    "After the bench the path climbs to the old railway (closed in 1964) and turns north. "
    "From here it's an easy walk to the station, where the 5:40 p.m. bus to Harrow leaves. "
    "Bring a sandwich, a coat and, if you can find one, a copy of Mr. Lowe's guide."
)
CLOCK = (
    "A pendulum clock loses time when its rod grows longer, and a rod of steel grows by about 11 µm for each metre and "
    "degree. That's roughly half a second a day for a change of one degree: not much, but it adds up. "
    "Clockmakers used wood, which hardly changes along the grain, or a jar of mercury that rises as the rod sinks.\n"
    "The gridiron pendulum, invented by John Harrison in the 1720s, has nine rods of brass and steel side-by-side. "
    "They're arranged so that the brass lifts the bob by as much as the steel lowers it. "
    "We've measured one over 30 days; it kept time to within 0.2s per day, i.e. 2.3 parts in a million.\n"
    "None of this would've mattered to most owners, who set their clocks by the church bell anyway."
)
DIALOGUE = (
    '"You can\'t be serious," she said. "It\'s three o\'clock in the morning!"\n'
    "“I'd have called,” he answered, “but the phone wasn't working – the line's dead.”\n"
    "She thought about that for a while… Then she laughed, and that was the end of the quarrel.\n"
    "'Well,' said the neighbour, 'they've made it up with each other. Let's go to bed.'\n"
    "“Who's there?” – “It's only me, y'all!” – “Oh, for heaven's sake...”\n"
    "The dog, which had slept through all of it, rolled over and sighed.\n"
)
SHORT = "Too few words to be of any use to anybody."
RECIPE = (
    "Barley soup\n\nIngredients\n- 200g barley\n- 1.5 l water\n- 2 onions (small)\n- 3-4 carrots\n- salt, pepper\n\n"
    "Soak the barley overnight. Chop the onions and fry them in butter until they are soft and have taken on some "
    "colour. Add the carrots, the barley and the water, and bring it to the boil.\n\n"
    "Simmer for 45 minutes at about 95°C. Taste it, and add salt with a light hand! Serve with bread.\n"
)
CODE_TALK = (
    "To list the files, type ls -la and press Enter; the output shows the owner, the size and the date of each file. "
    "If you have more than 10,000 files, pipe it to head: ls | head -n20. "
    "See https://www.example.com/docs/listing-files.html#sorting or mail help@example.org with your question. "
    "The variable is named file_count, and the value of x/y is computed as a*b+c^2 in C++ or C#. "
    "Version 2.10.3-beta fixes the bug (#1234) that was reported by user@host.example, thanks to all of you!"
)
FRENCH = (
    "La petite gare n'a plus de guichet depuis l'hiver dernier, mais les trains s'y arrêtent encore deux fois par "
    "jour. "
    "On achète son billet à l'épicerie d'en face, où Mme Perrin connaît tous les horaires par cœur. "
    "« Le train de 7 h 12 est toujours en retard », dit-elle. Personne ne s'en plaint : c'est l'heure du café."
)
GERMAN = (
    "Der Uhrmacher schloss die Werkstatt um sechs Uhr, drehte das Schild um und ging über die Brücke nach Hause. "
    "Es regnete seit Tagen; der Fluss stand hoch, und die Kinder durften nicht mehr ans Ufer. "
    "„Morgen wird es besser“, sagte er zum Hund, der ihm kein Wort glaubte."
)
CHINESE = (
    "老磨坊旁边的小路沿着河走了两英里。春天的时候，下半段会被水淹没；你需要靴子。没有人修过第二道门，所以请把它抬起来！"
)
THAI = "ทางเดินไปโรงสีเก่าเลียบแม่น้ำประมาณสองไมล์ ในฤดูใบไม้ผลิครึ่งล่างจะมีน้ำท่วม คุณต้องใส่รองเท้าบูท"
RUSSIAN = (
    "Дорога к старой мельнице идёт вдоль реки около двух миль. "
    "Весной нижняя часть затоплена; нужны сапоги! Кто починит калитку?"
)
NUMBERS = "\n".join(f"Row {k}: {k * 37 % 101} {k * 11 % 17}.{k % 10} {k * k}" for k in range(1, 40))
LISTS = "\n".join(f"- item number {k} of the list that we have" for k in range(30))
POEM = "\n".join(
    [
        "The tide goes out",
        "and leaves the sand",
        "to those who walk",
        "with shoes in hand",
        "and do not mind",
        "the cold",
    ]
    * 2
)
CITED = (
    "The mill was built in 1780[1] and rebuilt after the fire of 1812.[2][3] It has been a museum since 1994 [4].\n"
    "History[edit]\n"
    "Its owner, a Mr. Adams, is said to have lost it in a game of cards.[citation needed] That story is not older than "
    "1900. The records[12] show a sale, and the price was that of the land.\n"
    "The wheel turned until 1931. The race is dry today, but the sluice can be seen from the road. "
    "Visitors are welcome."
)
POLICY_LINE = "By reading on you accept our privacy policy and the terms of use of this site."
SCRIPT_LINE = "Please enable JavaScript to see the map of the area."


def _repeat_words(phrase: str, times: int) -> str:
    return " ".join([phrase] * times) + ". "


TEXTS: dict[str, str] = {
    "walk": WALK,
    "clock": CLOCK,
    "dialogue": DIALOGUE,
    "short": SHORT,
    "recipe": RECIPE,
    "code_talk": CODE_TALK,
    "french": FRENCH,
    "german": GERMAN,
    "russian": RUSSIAN,
    "numbers": NUMBERS,
    "lists": LISTS,
    "poem": POEM,
    "cited": CITED,
    "long": "\n\n".join([WALK, CLOCK, DIALOGUE, RECIPE, CODE_TALK, CITED]),
    "repeated_document": WALK + "\n" + WALK,
    "repeated_paragraphs": "\n\n".join([WALK, CLOCK, WALK, WALK]),
    "repeated_line": WALK + ("\nRead more about the mill." * 8),
    "repeated_short_lines": WALK + ("\nMore" * 40),
    "repeated_words": WALK + " " + _repeat_words("cheap tickets", 40),
    "repeated_five_words": CLOCK + " " + _repeat_words("the best price in town", 12),
    "repeated_ten_words": CLOCK + " " + _repeat_words("we are open on all days of the week but one", 5),
    "joined_words_repeat": "ab c abc a bc " * 12,
    "blank_ends": "\n\n" + WALK + "\n\n",
    "blank_lines_with_spaces": WALK.replace("\n", "\n \n\t\n"),
    "crlf": WALK.replace("\n", "\r\n"),
    "unusual_breaks": WALK.replace("\n", "\u2028") + "\x0b" + CLOCK,
    "hashes": " ".join(f"#{word}" for word in SHORT.split()) + " " + WALK.replace(" ", " # ", 30),
    "ellipses": WALK.replace(". ", "... ").replace(", ", "… "),
    "ellipsis_lines": "\n".join(f"And then there was the story of that year {k}..." for k in range(12)) + "\n" + WALK,
    "bullets": "\n".join(f"  • the bread and the butter of day {k}" for k in range(20)),
    "symbols": WALK + " *** " + "=- " * 60,
    "long_words": " ".join("incomprehensibilities" + str(k) for k in range(60)) + " the of",
    "short_words": " ".join("a b of to x" for _ in range(14)),
    "one_long_word": WALK + "\n" + "x" * 1001 + " is the word",
    "just_short_of_long_word": WALK + "\n" + "x" * 1000 + " is the word",
    "upper_case": WALK.upper(),
    "no_stop_words": " ".join(["Red kites circle above fields today."] * 1 + [f"Kite {k} dives." for k in range(30)]),
    "curly_bracket": WALK + "\nThe function ends with a brace {here}.",
    "curly_bracket_in_policy_line": WALK + "\n" + POLICY_LINE + " {accept}",
    "curly_bracket_in_script_line": WALK + "\n" + SCRIPT_LINE + " {map}",
    "lorem_ipsum": WALK + "\nLorem ipsum dolor sit amet.",
    "lorem_ipsum_in_script_line": WALK + "\nLorem Ipsum needs JavaScript to be on.",
    "policy": POLICY_LINE + "\n" + WALK + "\nThis site USES COOKIES to work.\n" + CLOCK,
    "script": SCRIPT_LINE + "\n" + CLOCK + "\n" + SCRIPT_LINE.lower(),
    "cut_script": CLOCK + "\nThe java[1]script of the page is broken.",
    "few_sentences": WALK.replace(".", ",").replace("!", ",").replace("?", ","),
    "menu": "Home\nAbout us\nContact\n" + WALK + "\nShare\nPrint this page\n© 2020",
    "menu_with_words": "\n".join(f"Go to page number {k}" for k in range(60)) + "\n" + WALK,
    "no_final_marks": "\n".join(f"a line of the text without any mark that has number {k}" for k in range(25)),
    "emoticons": WALK + " :) Nice (really):) see:) ;-) (e.g.), (i.e.): (Aug.) 8) :'( <3 ):",
    "marks": WALK + " --- -- – — ~ ?! !? …… ... .. . (a)[b]{c}<d> “x” ‘y’ «z» 50% §3 +5 +x a+b 3-4 5*6 US$5 5€ £7 °F.",
    "joined_sentences": WALK
    + " The end.Next came the rain,then sun;and/or hail w/o snow: x:y a=b p<q r/s 10:30 12/24.",
    "units": CLOCK + " 5km 10kg 3m² 20% 7GB 60mph 12in 5pm 11am 3p.m. 9a.m. 100,000 1.5 3,5 1.2.3.4 1999-2004 1+1 2^8",
    "urls": CODE_TALK
    + " a.b.co example.com/a-b?c=d, (http://x.org), ftp://me:pw@host.net:8080/p 8.8.8.8/dns-query 1.2.3.4:80",
    "single_word": "word",
    "single_mark": ".",
    "only_citations": "[1] [2] [3]\n" + WALK,
}
"""Texts in which datatrove's words and ours are the same by design."""

UNSPACED: dict[str, str] = {"chinese": CHINESE, "thai": THAI, "mixed": WALK + "\n" + CHINESE}
"""Texts with scripts that put no space between words: the English rule of spaCy takes a run of them for one word."""
