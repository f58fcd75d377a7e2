"""Little stories in simple English, made by a grammar: the text that the project's own test models learn from.

Nothing here is copied from a corpus, so that text and models can carry the project's licence. Rules are written as in

    [a|b|c]     one of these; may be nested
    <word>      an expansion of that rule
    $H $he      the people of this story: $H hero, $F friend, $M parent, $O object, with $he $him $his for the hero,
                $fhe $fhim $fhis for the friend, $V the parent when spoken to, $mhe for the parent, and $Ks, $K for the kind of hero

and a story is an opening, a plot in three to five scenes, and an ending; what stands between is free. The words are those
a small child knows. The variety is in how they combine: a model that has read a few million words of this has learnt which
words follow which, not stories by heart.
"""
import random
import re

BOYS = "Tom Tim Sam Jack Max Leo Ben Dan Nick Fred Joe Bob Billy Jim Sid Adam Luke Owen Peter Toby".split()
GIRLS = "Lily Anna Mia Sue Lucy Amy Sara Jane Emma Rose Ella Zoe Kate Nina Molly Daisy Mary Beth Ruby Jill".split()
PETS = "Spot Max Buddy Rex Fluffy Whiskers Bella Coco Snowy Patch".split()
ANIMALS = "dog cat bird rabbit bear fox mouse duck frog squirrel turtle bunny puppy kitten pig cow horse sheep goat hen owl bee".split()

RULES = {
    # words
    "animal": "|".join(ANIMALS),
    "small-animal": "bird|mouse|rabbit|bunny|kitten|puppy|duck|frog|squirrel|turtle|butterfly|bug|bee|baby bird|fish",
    "size": "big|little|small|tiny|huge|tall|long|short",
    "look": "red|blue|green|yellow|pink|white|black|brown|shiny|pretty|soft|new|old|round|bright|funny|beautiful|colorful|warm|clean|dirty|strange|special|magic",
    "adj": "<size>|<look>|<look>|<size> <look>",
    "toy": "ball|doll|car|truck|boat|kite|bike|train|teddy bear|balloon|block|drum|puzzle|swing|toy|book|game|robot|top",
    "thing": "<toy>|<toy>|hat|box|stick|rock|flower|leaf|shell|feather|key|coin|coat|shoe|cup|bag|ribbon|map|letter|button|nest|egg|bell|ring|lamp|basket|blanket|pillow|umbrella|spoon|picture",
    "food": "apple|cake|cookie|banana|carrot|sandwich|pie|orange|pear|berry|egg|cup of milk|cup of water|bowl of soup|piece of bread|piece of cheese|piece of cake|bag of nuts",
    "foods": "apples|cookies|berries|carrots|nuts|bread and butter|cheese|soup|cake|milk and cookies|fruit|honey|some bread|some water|some milk",
    "place": "park|forest|garden|yard|field|beach|farm|river|lake|pond|woods|zoo|hill|house|playground|store|street|school|kitchen|barn|big tree|old tree|tall tree",
    "home": "house|home|room|bed|kitchen|little house|small house|nest|cave|tree house",
    "weather": "sunny|warm|cold|rainy|windy|hot|nice|snowy|cloudy|beautiful",
    "good": "happy|glad|excited|proud|very happy|so happy|very glad|so excited|very proud",
    "bad": "sad|scared|angry|tired|worried|lonely|hungry|upset|hurt|very sad|very scared|so sad|a little scared|afraid|cold|sick|lost",
    "kind": "kind|nice|good|brave|smart|friendly|gentle|helpful|funny|polite|strong|clever|curious",
    "body": "leg|arm|hand|foot|head|nose|wing|knee|tail|paw|ear|finger",
    "sky": "sky|sun|moon|stars|clouds|rain|wind|rainbow",
    "go": "went|ran|walked|hurried|jumped|skipped|drove|came|hopped",
    "act": "ran|jumped|danced|sang|played|laughed|smiled|clapped|waved|ran fast|jumped high|jumped up and down|ran in circles|laughed and laughed|played all day|sang a song|sat down|looked up|looked around|turned around|nodded|slept|barked|cried",
    "play": "play|run|jump|sing|dance|swim|read|draw|paint|play outside|ride bikes|climb trees|play games|play together|run and play|run and jump|sing songs|bake cookies|look at the stars|look for bugs|fly kites|tell stories|play hide and seek",
    "loud": "loud noise|soft sound|little voice|big splash|loud bark|strange noise|sad cry",
    "said": "said|said|said|asked|shouted|cried|answered|replied|called|yelled",
    "very": "very|so|really|very, very|too",
    "then": "Then|Then|Soon|After that|Just then|At last|Later|Suddenly|So|But then|After a while",
    "when": "One day|One day|One day|One morning|One night|One afternoon|One sunny day|One cold day|One rainy day|The next day|The next morning|That night|Later that day|Every day|Another day",
    "again": "again|one more time|all day|all day long|every day|for a long time|until it was dark|until it was time to go home",
    "in-place": "in the <place>|near the <place>|by the <place>|at the <place>|under the big tree|behind the house|on the ground|on the grass|in the grass|on the table|under the bed|in a tree|in the sky|in the water|on the road|on the floor|near a big <place>|next to the <place>|in the sun|outside",
    "to-place": "to the <place>|to the <place>|to the big <place>|into the <place>|home|back home|outside|up the hill|down the hill|down the road|into the water|into the house|up the tree|across the field|to the top of the hill|over the fence",
    "a-thing": "a <adj> <thing>|a <adj> <thing>|a <adj> <thing>|a <thing>|some <foods>",
    "someone": "[a|an old|a <kind>|a <size>|a little] [man|woman|boy|girl|lady|<animal>|<animal>|<small-animal>|farmer|doctor|teacher|king|queen]",
    "family": "mom|dad|mom and dad|brother|sister|grandma|grandpa|family|baby brother|little sister|big brother",
    "many": "many|a lot of|lots of|some|all the|all of the|three|two",
    "plural": "toys|friends|flowers|birds|trees|animals|games|books|cars|blocks|balls|kids|children|fish|ducks|stars|rocks|leaves",

    # what anybody may say
    "speech": "Hello, $F|Hi, I am $H|Thank you|Thank you, $F|I am sorry|I am <bad>|I am <good>|Do not worry|Do not be <bad>|You are welcome|You are my best friend"
              "|You are a <kind> friend|You can do it|We can do it|I can help you|Can you help me|Let us <play>|I want to <play>|I like your <thing>|I love you"
              "|I love to <play>|What is that|What is this|Where are you|Who are you|Why are you <bad>|Are you <bad>|Please help me|Please stop|It is time to go home"
              "|Can we <play>|Can I have <a-thing>|May I play with you|We have to go <to-place>|Look at the <adj> <thing>|Look, I found <a-thing>|Be careful|I can not find my <thing>"
              "|I will help you|I will give you <a-thing>|This is my <thing>|That is a good idea|I have an idea|Yes, we can|Yes, you can|Yes, I can|No, thank you|Good night|Goodbye, $F|See you soon"
              "|That was <good> and fun|It is so <look>|It is <very> <weather> today|I have never seen <a-thing>|I fell from <the-high>|I fell down and hurt my <body>|My <body> hurts|I want to go home|I miss my <family>|We should share",
    "the-high": "my tree|the tree|the nest|the hill|the swing|my bed|the sky",
    "quote": "\"<speech>,\" <said> $X|\"<speech>!\" <said> $X|\"<speech>,\" $X said|$X said, \"<speech>.\"|$X said, \"<speech>!\"|$X asked, \"<ask>?\"|\"<ask>?\" asked $X|\"<ask>?\" $X asked|$X smiled and said, \"<speech>.\"|$X looked at $Y and said, \"<speech>.\"",
    "ask": "Can I play with you|Can you help me|What is in the <thing>|What are you doing|Where is my <thing>|Where do you live|Do you want to <play>|Do you like <foods>|Why are you <bad>|Are you okay|Are you hurt|Are you lost|Will you be my friend"
           "|Can we go <to-place>|Can we keep it|Can we help $fhim|May I have <a-thing>|What is your name|What happened|Who made this <thing>|How can I help|Did you see my <thing>|Is it far",

    # free sentences about anybody
    "filler": "$H was <good>.|$H felt <bad>.|$H felt <very> <bad>.|$H and $F <act>.|$H and $F liked to <play> <in-place>.|$He wanted to <play>.|It was a <weather> day.|It was a <weather> day and the sun was [bright|hot|high|warm].|The <sky> [was|were] <look>."
              "|$F <act> and <act>.|$He saw <many> <plural> <in-place>.|$H had <a-thing>.|$He put it <in-place>.|$H looked at the <thing>.|$He did not know what to do.|$He had an idea.|They <act> <again>.|They ate <foods>.|They saw <someone> <in-place>."
              "|$H picked up the <thing> and put it in $his <thing>.|$He took the <thing> and <go> <to-place>.|$H heard a <loud>.|$He could not [see|find|reach|open|move] it.|$H tried and tried.|$He looked <in-place>, but it was not there.|They had so much fun.|They were <good>."
              "|$His $M gave $him <a-thing>.|$M made <foods> for [$H|them].|$F was <very> <kind>.|$F wanted to help too.|$F did not want to <play>.|The <thing> was <very> <look>.|The <animal> was <bad> and could not <play>.|The <animal> <act>.|It [was|felt|looked] <very> <look>.|$He <act> and <act>.|Everyone <act>."
              "|$He opened the <thing> and looked inside.|Inside, there was <a-thing>.|$He gave it to $F.|$F liked it [a lot|very much].|$H made a <adj> <thing> for $F.|They went <to-place> to <play>.|$H could not wait to <play>.|All the <plural> were <in-place>.|$He held the <thing> in $his hand[|s].|It started to rain.|The sun came out.|They all laughed.",

    # openings
    "once": "Once upon a time, there was|Once upon a time, there was|Once upon a time, there was|Once there was|There was once|A long time ago, there was|One day, there was|In a <size> <place>, there was|Once upon a time, in a <size> <place>, there was",
    "open": "<once> a <$K-adj> $K named $H. <about>|<once> a <$K-adj> $K named $H. $His name was $H because $he <act>. <about>|<once> a <$K-adj> $K. $His name was $H. <about>|$H was a <$K-adj> $K. <about>|$H and $F were [best|good] friends. <about>|<when>, a <$K-adj> $K named $H <go> <to-place> with $his <family>. <about>|Once upon a time, a <$K-adj> $K named $H lived in a <size> <home>. <about>",
    "$K-adj": "little|little|little|small|young|<kind>|<kind>|<good>|big|tiny|brave little",
    "about": "$He lived in a <adj> <home> with $his <family> and $his [dog|cat|friend], $F. <likes>|$He liked to <play> <in-place>. <likes>|$H loved to <play>. <likes>|$He had a <adj> <thing>. <likes>|$He had a [dog|cat|friend|brother|sister] named $F. <likes>|$He lived near a <size> <place>. <likes>|<likes>",
    "likes": "Every day, $he <go> <to-place> to <play>.|Every day, $H and $F liked to <play> and <play> <in-place>.|$He was <very> <kind>.|$He and $F were always together.|Every morning, $H <go> <to-place> with $F.|$His favorite thing was $his <adj> <thing>.|$H liked to <play> with $his <family>.|They lived <in-place>.|",

    # scenes, by plot
    "find": "<when>, $H saw <a-thing> <in-place>. $He [picked it up|was <good>|wanted to have it|did not know what it was].|<when>, $H found a <adj> $O <in-place>. \"[Wow|Look|Mom, look], [what a <look> $O|I found a $O|it is so <look>]!\" $he said.|<when>, $H and $F <go> <to-place>. There, they found a <adj> $O. It was <very> <look>.",
    "hurt": "<when>, $H saw a <size> <small-animal> <in-place>. The <small-animal> was <bad> and could not [fly|walk|move|run|get up|swim]. \"Hello, little <small-animal>,\" $he said. \"<ask>?\"|<when>, $F fell and hurt $fhis <body>. $F started to cry. \"My <body> hurts,\" $fhe said.|$He saw <someone> [crying|sitting|hiding|sleeping] <in-place>. <speak-y> \"I [fell down|am lost|am <bad>|lost my <thing>|can not find my <family>],\" it said. \"I want to go home to my <family>.\"",
    "help": "$H wanted to help. $He [picked up the <small-animal>|took $his <thing>|held $fhis hand|got some water] and put it in $his <adj> <thing>. <then> $he <go> <to-place>.|$H [was <kind> and|did not run away. $He] gave it <foods>. <quote>|\"Do not worry,\" said $H. \"I will help you [find your <family>|go home|get up|get your <thing>].\" <then> they <go> <to-place> together.|$H ran home to $his $M. \"$V, look! I found a <size> <small-animal>. Can we help it?\" $he asked. $M smiled and said, \"<speech>.\"|$M gave the <small-animal> some <foods>. $H made a [warm|soft|little] bed for it in a <thing>.",
    "better": "The next day, the <small-animal> [felt better|was not <bad> any more|felt much better|could <play> again]. It <act> and <act>.|The <small-animal> wanted to [fly|run|go home|swim|jump], but it was <bad>. \"You can do it,\" said $H. <then> it [jumped|ran|flew|hopped] up, up, up into the <sky>!|<then> the <small-animal> opened its [wings|eyes|mouth] and [flew|looked|went] <to-place>. $H was so <good> that $he <act>.|<then>, the [mommy|mother|daddy] <small-animal> came. She was very happy to see her baby. \"Thank you, $H,\" she said. \"You are a <kind> [boy|girl|friend].\"",
    "lose": "<when>, $H could not find $his $O. $He looked <in-place>. $He looked <in-place>. But it was not there. $He was <very> <bad>.|<when>, the wind [took|blew] $his $O <to-place>. \"Oh no, my $O!\" <said> $H.|<when>, $H lost $his $O <in-place>. $He started to cry. $F came and asked, \"<ask>?\"",
    "search": "\"Do not be <bad>,\" said $F. \"I will help you look for it.\" They looked [under the bed|in the <thing>|behind the <place>|<in-place>] and <in-place>.|They asked <someone>, \"Did you see [a|our|my] <adj> $O?\" \"[No, I did not|Yes, I saw it <in-place>|I am sorry],\" said the <animal>.|$H and $F <go> <to-place>. They saw <many> <plural>, but no $O.",
    "found": "<then>, $F saw something <look> <in-place>. It was the $O! \"I found it!\" $fhe <said>.|At last, they found the $O <in-place>. $H was so <good> that $he <act>. \"Thank you, $F,\" $he said.|It was in the <thing> all the time! $H and $F laughed and laughed.",
    "want": "<when>, $H saw a <adj> $O in the [store|<place>]. \"$V, can I have it?\" $he asked. \"[No, not today|Yes, but you have to share|You have to help me first|Maybe, if you are good],\" said $M.|$H wanted the $O, but it belonged to $F. $He took it and ran <to-place>. $F was <bad>. \"That is my $O!\" $fhe <said>.|$F had a <adj> $O. $H wanted to play with it too. \"Can I have a turn?\" $he asked. \"No, it is mine!\" said $F.",
    "learn": "$H felt <bad>. $He [gave it back|said sorry|went to $M] and said, \"I am sorry, $F.\" $F smiled. \"It is okay,\" $fhe said. \"We can share.\"|$M said, \"You should [share|be kind|say sorry|be careful|tell the truth|help your friends].\" $H thought about it. <then> $he said, \"<speech>.\"|They took turns with the $O. It was more fun to play together.",
    "make": "<when>, $H wanted to [make|build|bake|paint|draw] a <adj> <thing>. $He needed <many> <plural> and <a-thing>.|\"Can I help?\" asked $F. \"Yes, please,\" said $H. They worked and worked.|First, they [got|found|cut|took] <a-thing>. Then, they put it <in-place>. It was <very> <look>.|But the <thing> [fell down|broke|was too <size>|did not work]. $H was <bad>. \"We can try again,\" said $F.",
    "weather-plot": "<when>, it was <very> <weather>. $H looked out of the window. $He saw <many> <plural> in the <sky>.|It started to [rain|snow|get dark]. The wind was <very> [strong|loud|cold]. $H and $F were <bad>. They ran <to-place>.|<then>, the [rain|wind|snow|storm] stopped and the sun came out. There was a <adj> rainbow in the sky!|They hid [under a <size> tree|in a <home>|<in-place>]. They were <bad>, but they were together.",
    "party": "It was $his birthday. $M made a <size> <look> cake. All $his friends came <to-place>.|$F gave $him <a-thing>. \"Happy birthday, $H!\" $fhe said. $H was <good>.|They ate <foods> and <foods>. They played games and danced.|$H blew out the candles and made a wish. Everyone clapped.",
    "night": "It was time for bed. $M read $him a story about <someone> and <someone>. $H was <bad>. \"I can not sleep,\" $he said.|$He heard a <loud>. $He was <bad>. $He <go> to $his $M. \"<speech>,\" said $M.|It was only $F! $F was <in-place>. They laughed. <then> they went to sleep.|$H closed $his eyes and had a good dream about <a-thing>.",
    "speak-y": "It looked at $him and said,|It said,|The <animal> said,|It looked up and said,",

    # endings
    "end": "<close> <moral>|<moral> <close>|<close>|<close>|<filler> <close>",
    "close": "They all lived happily ever after.|And they all lived happily ever after.|From that day on, $H and $F were best friends.|From that day on, they <play-past> together every [day|morning|night].|They were friends for ever.|They <go> home and [ate <foods>|went to bed|had dinner|told $M about it].|$H was the <kind>-hearted $K in the <place>.|The end.|It was the best day ever.|$H went to sleep with a smile.|And the <animal> came to see $H every day.|$H and $F <act> all the way home. They were <good>.|$M gave them both a big hug.|From then on, $H always [shared|helped|said thank you|was careful|was kind to everyone].",
    "play-past": "played|sang|danced|ran|laughed|swam|had fun|sat <in-place> and talked",
    "moral": "$H learned that it is [good|nice|important|fun] to [share|help others|help|be kind|say sorry|tell the truth|try again|be brave|be careful|listen to $M|work together|have friends].|$He knew that [friends help each other|sharing is good|it is okay to be scared|$he could do it|$he had a good friend].|$H was <good> that $he had helped $F.",
}

PLOTS = [["find"], ["hurt", "help", "better"], ["hurt", "help", "help", "better"], ["lose", "search", "found"], ["want", "learn"], ["find", "want", "learn"],
         ["make", "make", "make"], ["weather-plot", "weather-plot"], ["party", "party"], ["night", "night"], ["find", "lose", "search", "found"], ["hurt", "help", "better", "party"]]
NEST = re.compile(r"\[([^\[\]]*)\]")
HOLE = re.compile(r"<([^<>]+)>")
# what follows a quotation that ends in ! or ? starts with a capital unless it tells who spoke
AFTER_QUOTE = re.compile(r"([!?]\" )(?!(?:\w+ ){0,2}(?:said|asked|shouted|cried|answered|replied|called|yelled)\b)([a-z])")


class Story:
    def __init__(self, rng):
        self.rng = rng
        self.options = {}
        boy = rng.random() < 0.5
        self.names = {"H": rng.choice(BOYS if boy else GIRLS), "K": rng.choice(["boy", "boy", "boy"] if boy else ["girl", "girl", "girl"])}
        if rng.random() < 0.3:
            self.names["K"] = rng.choice(ANIMALS)
        self._pronouns("", boy)
        friend_boy = rng.random() < 0.5
        self.names["F"] = rng.choice([n for n in (PETS if rng.random() < 0.3 else BOYS if friend_boy else GIRLS) if n != self.names["H"]])
        self._pronouns("f", friend_boy)
        parent = rng.choice([("Mom", False), ("Dad", True), ("Mommy", False), ("mom", False), ("mom", False), ("dad", True), ("Grandma", False), ("mother", False)])
        self.names["M"] = parent[0] if parent[0][0].isupper() else f"his {parent[0]}" if boy else f"her {parent[0]}"
        self.names["V"] = parent[0].capitalize()        # what the hero calls that parent
        self._pronouns("m", parent[1])
        self.names["O"] = self.expand(rng.choice(["<toy>", "<thing>"]))

    def _pronouns(self, who, male):
        for key, value in (("he", "he" if male else "she"), ("him", "him" if male else "her"), ("his", "his" if male else "her")):
            self.names[who + key] = value
            self.names[(who + key).capitalize()] = value.capitalize()

    def alternatives(self, rule):
        if rule not in self.options:
            self.options[rule] = split(RULES[rule])
        return self.options[rule]

    def expand(self, text, depth=0):
        assert depth < 40, text
        while NEST.search(text):
            text = NEST.sub(lambda m: self.rng.choice(m.group(1).split("|")), text, count=1)
        while HOLE.search(text):
            text = HOLE.sub(lambda m: self.expand(self.rng.choice(self.alternatives(m.group(1))), depth + 1), text, count=1)
        return text

    def voices(self, text):
        x, y = self.rng.choice([("H", "F"), ("F", "H"), ("H", "F"), ("M", "H")])
        return text.replace("$X", f"${x}").replace("$Y", f"${y}")

    def sentence(self, rule):
        return self.voices(self.expand(f"<{rule}>"))

    def paragraphs(self):
        rng = self.rng
        yield [self.sentence("open"), *self._free(2)]
        for scene in rng.choice(PLOTS):
            yield [self.sentence(scene), *self._free(rng.choice([0, 1, 2, 3]))]
        yield [*self._free(1), self.sentence("end")]

    def _free(self, most):
        for _ in range(self.rng.randint(0, most)):
            yield self.sentence("quote") + "." if self.rng.random() < 0.4 else self.sentence("filler")

    def text(self):
        joiner = self.rng.choice(["\n\n", "\n\n", " ", "\n"])
        return joiner.join(tidy(self.fill(" ".join(p))) for p in self.paragraphs())

    def fill(self, text):
        return re.sub(r"\$(" + "|".join(sorted(self.names, key=len, reverse=True)) + r")", lambda m: self.names[m.group(1)], text)


def split(text):
    """Split at the bars outside brackets and holes."""
    parts, depth = [""], 0
    for c in text:
        depth += (c in "[<") - (c in "]>")
        if c == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += c
    return parts


def tidy(text):
    """Spaces, articles, capitals, full stops."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"([.!?]\"?)\.", r"\1", text)
    text = re.sub(r"([.!?]) ([.!?])", r"\1", text)
    text = re.sub(r"\b([Aa]) (?=[aeiouAEIOU](?!ne\b))", r"\1n ", text)
    text = re.sub(r"\b(his|her) (his|her) ", r"\1 ", text)
    text = re.sub(r"\ba some\b|\bsome some\b|\bsome a\b", "some", text)
    text = re.sub(r"(^|[.!?] |\.\" |[.!?] \"|^\"|\" \")([a-z])", lambda m: m.group(1) + m.group(2).upper(), text)
    return AFTER_QUOTE.sub(lambda m: m.group(1) + m.group(2).upper(), text)


def stories(seed):
    """Stories without end, the same ones for the same seed."""
    rng = random.Random(seed)
    while True:
        yield Story(rng).text()


if __name__ == "__main__":
    import itertools
    for story in itertools.islice(stories(1), 6):
        print(story, end="\n\n---\n\n")
