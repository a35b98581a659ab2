//! Sentences of the length of posts, long texts about something else, and somebody who types badly.

/// Posts as people write them: threats and false claims among everyday ones. Each has at least sixty
/// letters and digits after normalising.
pub(crate) fn sentences() -> Vec<&'static str> {
    SENTENCES.lines().filter(|line| !line.is_empty()).collect()
}

/// Long texts in which none of the sentences stands.
pub(crate) fn harmless() -> [&'static str; 5] {
    [
        include_str!("../../../../README.md"),
        include_str!("../../../../ARCHITECTURE.md"),
        include_str!("../../../../docs/operating.md"),
        include_str!("../../../../docs/threat-model.md"),
        include_str!("../../../../docs/states.md"),
    ]
}

/// Types with errors, always the same ones from the same seed.
pub(crate) struct Typist(u64);

impl Typist {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap()
    }

    /// Makes an error in so many of a hundred letters: another letter, one too many, one left out, two
    /// exchanged.
    pub(crate) fn type_badly(&mut self, text: &str, percent: usize) -> String {
        let mut typed: Vec<char> = text.chars().collect();
        let letters = typed.iter().filter(|character| character.is_alphanumeric()).count();
        for _ in 0..(letters * percent).div_ceil(100) {
            let place = loop {
                let place = self.next(typed.len() - 1);
                if typed[place].is_alphanumeric() && typed[place + 1].is_alphanumeric() {
                    break place;
                }
            };
            let other = char::from(b'a' + u8::try_from(self.next(26)).unwrap());
            match self.next(4) {
                0 => typed[place] = other,
                1 => typed.insert(place, other),
                2 => drop(typed.remove(place)),
                _ => typed.swap(place, place + 1),
            }
        }
        typed.into_iter().collect()
    }
}

const SENTENCES: &str = "\
They come here only to take what is ours, and it is high time that somebody throws them all into the sea.
Tonight at ten we meet behind the station, bring bats and petrol, we will clean this street of that filth.
People like that are not human, they are vermin, and everyone knows what has to be done about vermin in a house.
If you see one of them on the bus tomorrow do not wait, hit first and make sure that nobody films your face.
The vaccine that they force on your children contains a chip which switches them off by radio next spring.
Drinking two spoons of bleach in warm water every morning cures the virus, doctors are paid to keep it from you.
The election was decided in advance, my cousin counted the votes himself and burned three boxes in the yard.
Share this before they delete it: the dam broke an hour ago and the government tells nobody to leave the valley.
Their children should not be allowed into our schools, they carry diseases and they will replace us in ten years.
I say it openly, whoever shelters those traitors deserves the same rope that the traitors will get from us.
We know where the journalist lives, the green door beside the bakery, and on Friday she will be at home alone.
A good day for all of us would be the day on which their temple burns down with every single one of them inside.
Nobody will miss you, the pills are in the cabinet, do it tonight and send us the video when it is over.
Do the forty eight hour challenge, no food no water and the belt around your neck, only cowards stop before the end.
Send five hundred coins to this wallet and the foundation doubles them by midnight, I have tried it three times.
Has anyone seen a grey cat with a white paw near the mill on Harbour Road, she has been missing since Tuesday.
We had the best soup of the year in that little place under the bridge, try the one with lentils and lemon.
My daughter took her first steps this morning while I was looking for my glasses, and I nearly missed all of it.
The last train to the coast leaves at half past nine on weekdays, on Sundays there is only the bus from the square.
After three weeks of rain the tomatoes have finally turned red, come over on Saturday if you would like some.
I cannot believe that they cancelled the series after one season, the ending makes no sense without the second part.
Looking for two tickets for the concert on the fourteenth, I will pay the full price and bring cake to the door.
The new bicycle lane ends in the middle of the crossing, whoever planned it has never sat on a bicycle in this town.
Our neighbour repaired the old radio of my grandfather, and it plays the same station that he listened to in 1962.
Reminder that the library closes earlier during the holidays, please return the children's books before Thursday.
We finished the marathon in four hours and twelve minutes, my knees hurt and I would do it again tomorrow morning.
Does somebody know a dentist who is patient with small children, ours was in such a hurry that everybody cried.
The museum shows drawings from the expedition of 1911 until the end of March, entry is free on the first Sunday.
If the bread does not rise, the water was too hot for the yeast, let it cool until you can hold a finger in it.
Yesterday evening a fox sat in our garden and looked into the kitchen as if it wanted to be asked to come inside.
The committee meets again in October and will then decide about the money for the roof of the swimming pool.
I have written down the recipe of my aunt, it needs six eggs, a pound of almonds and more patience than I have.
A report about the attack: the police confirmed that two people were hurt and that the man has been arrested.
Scientists found no link between the vaccination and the illness in a study with more than a million children.
Das Boot ist voll, und wer noch einen von denen hereinlässt, der soll am besten gleich selbst mit ertrinken.
Heute Abend treffen wir uns am Bahnhof und zeigen diesem Gesindel, wem die Stadt gehört, bringt alle etwas mit.
Die Kinder haben gestern den ganzen Nachmittag am See gespielt und sind erst zum Abendessen nach Hause gekommen.
Wer kann mir einen guten Schreiner empfehlen, der einen alten Tisch abschleift, ohne dass er danach neu aussieht.
Ces gens ne sont pas comme nous, il faut les chasser du quartier avant que nos enfants deviennent comme eux.
Le marché du dimanche est déplacé sur la petite place derrière l'église pendant toute la durée des travaux.
Nous avons retrouvé hier soir un vieux carnet de ma grand-mère avec toutes ses recettes de confiture de figues.
El agua del grifo está envenenada desde el lunes y los médicos tienen prohibido decirlo, compártelo con todos.
Mañana salimos temprano hacia la montaña, llevad agua, un abrigo y algo de comer para toda la excursión del día.
Questa gente va rimandata a casa con la forza, e chi li aiuta deve vergognarsi di vivere ancora in questa città.
Domani sera al teatro si suona la musica di tre giovani compositori della regione, l'ingresso costa dieci euro.
Pozor, v pondělí nepůjde v celé ulici elektřina od osmi hodin ráno až do tří hodin odpoledne kvůli opravám.
Сегодня вечером собираемся у рынка и выгоняем их всех из нашего города, кто не придёт, тот сам предатель.
Вчера мы нашли в лесу столько грибов, что пришлось идти домой за второй корзиной и звать на помощь соседей.
Αύριο το πρωί θα κλείσει ο δρόμος μπροστά από το σχολείο για να γίνουν οι εργασίες που περιμέναμε δύο χρόνια.
Bu insanların hepsini şehirden kovmak gerekiyor, onlara ev verenlerin kapısına da bir işaret koyacağız yarın.
Dün akşam sahilde yürürken eski bir arkadaşıma rastladım ve birlikte çay içip saatlerce konuştuk deniz kenarında.
यह पानी पीने से सारी बीमारियाँ ठीक हो जाती हैं और डॉक्टर यह बात आपसे छिपाते हैं क्योंकि उन्हें पैसे मिलते हैं, सबको बताइए आज ही।
هؤلاء الناس ليسوا منا ويجب أن نطردهم جميعا من المدينة قبل أن يأخذوا بيوتنا وأعمالنا ومدارس أولادنا الصغار
これを飲めばどんな病気でもすぐに治ると友達の医者が言っていたのに、政府はその事実を国民に隠し続けているので、削除される前に家族や知り合い全員に今すぐこの話を広めてください。
";
