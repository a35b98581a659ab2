//! Draws what is everybody's: blank frames, colours, shades, patterns, test cards, and templates that
//! platforms and their users put around anything.

use super::sheet::{BLACK, Colour, DARK, GREY, LIGHT, Sheet, WHITE};

/// Square, wide and tall: what is round in one is not in another.
const SHAPES: [(&str, (u32, u32)); 3] =
    [("square", (320, 320)), ("wide", (448, 252)), ("tall", (252, 448))];

type Drawn = Vec<(String, Sheet)>;
/// How far a place is from one colour to another, in thousandths.
type Way = fn(i64, i64) -> i64;
/// Whether a place is of the other colour, told how many times they change over a side.
type Pattern = fn(i64, i64, i64) -> bool;

/// All of them, by name.
pub(super) fn pictures() -> Drawn {
    let mut all = surfaces();
    all.extend(shades());
    all.extend(patterns());
    for (shape, size) in SHAPES {
        let named = |(name, sheet): (String, Sheet)| (format!("{name}-{shape}"), sheet);
        all.extend(cards(size).into_iter().map(named));
        all.extend(frames(size).into_iter().map(named));
        all.extend(waiting(size).into_iter().map(named));
        all.extend(papers(size).into_iter().map(named));
        all.extend(panels(size).into_iter().map(named));
    }
    all
}

fn square(colour: Colour) -> Sheet {
    Sheet::new((256, 256), colour)
}

/// Surfaces of one colour: a grid of 125.
fn surfaces() -> Drawn {
    let steps = [0_u8, 64, 128, 192, 255];
    let mut all = Vec::new();
    for place in 0..125 {
        let [red, green, blue] = [place / 25, place / 5 % 5, place % 5].map(|step| steps[step]);
        all.push((format!("colour-{red:02x}{green:02x}{blue:02x}"), square([red, green, blue])));
    }
    all
}

/// From one colour to another: along eight directions, from the middle, and twice.
fn shades() -> Drawn {
    let pairs: [(&str, Colour, Colour); 6] = [
        ("black-white", BLACK, WHITE),
        ("grey-white", GREY, WHITE),
        ("black-grey", BLACK, GREY),
        ("blue-orange", [20, 60, 200], [250, 150, 40]),
        ("purple-pink", [90, 20, 160], [250, 120, 180]),
        ("green-yellow", [0, 110, 60], [240, 230, 90]),
    ];
    let ways: [(&str, Way); 12] = [
        ("right", |x, _| x),
        ("left", |x, _| 999 - x),
        ("down", |_, y| y),
        ("up", |_, y| 999 - y),
        ("down-right", |x, y| (x + y) / 2),
        ("down-left", |x, y| (999 - x + y) / 2),
        ("up-right", |x, y| (999 - y + x) / 2),
        ("up-left", |x, y| (1_998 - x - y) / 2),
        ("outwards", |x, y| ((x - 500).pow(2) + (y - 500).pow(2)).isqrt() * 999 / 708),
        ("inwards", |x, y| 999 - ((x - 500).pow(2) + (y - 500).pow(2)).isqrt() * 999 / 708),
        ("there-and-back", |x, _| (x - 500).abs() * 999 / 500),
        ("up-and-back", |_, y| (y - 500).abs() * 999 / 500),
    ];
    let mut all = Vec::new();
    for (pair, from, to) in pairs {
        for (way, share) in ways {
            let sheet = square(from).paint(|x, y| Some(between(from, to, share(x, y))));
            all.push((format!("shade-{pair}-{way}"), sheet));
        }
    }
    all
}

fn between(from: Colour, to: Colour, thousandths: i64) -> Colour {
    std::array::from_fn(|part| {
        let (from, to) = (i64::from(from[part]), i64::from(to[part]));
        u8::try_from((from + (to - from) * thousandths / 999).clamp(0, 255)).unwrap()
    })
}

/// Chequers, stripes and grids.
fn patterns() -> Drawn {
    let mut all = Vec::new();
    for count in [2, 3, 4, 5, 6, 8, 10, 12, 16, 20] {
        let ways: [(&str, Pattern); 4] = [
            ("chequers", |x, y, count| (x * count / 1_000 + y * count / 1_000) % 2 == 1),
            ("columns", |x, _, count| x * count / 1_000 % 2 == 1),
            ("rows", |_, y, count| y * count / 1_000 % 2 == 1),
            ("slants", |x, y, count| (x + y) * count / 2_000 % 2 == 1),
        ];
        for (way, black) in ways {
            let sheet = square(WHITE).paint(|x, y| black(x, y, count).then_some(BLACK));
            all.push((format!("{way}-{count}"), sheet));
        }
        let line = |at: i64| at * count % 1_000 < count * 12;
        let grid = square(WHITE).paint(|x, y| (line(x) || line(y)).then_some(BLACK));
        all.push((format!("grid-{count}"), grid));
    }
    all
}

/// Test cards: colour bars as SMPTE and EBU have them, steps of grey, a grid with a circle.
fn cards(size: (u32, u32)) -> Drawn {
    let bars: [Colour; 8] = [
        [191; 3],
        [191, 191, 0],
        [0, 191, 191],
        [0, 191, 0],
        [191, 0, 191],
        [191, 0, 0],
        [0, 0, 191],
        BLACK,
    ];
    let full: [Colour; 8] = [
        WHITE,
        [255, 255, 0],
        [0, 255, 255],
        [0, 255, 0],
        [255, 0, 255],
        [255, 0, 0],
        [0, 0, 255],
        BLACK,
    ];
    let column = |x: i64, of: i64| usize::try_from(x * of / 1_000).unwrap();
    let blank = || Sheet::new(size, BLACK);
    let smpte = blank().paint(|x, y| {
        let back = [6, 7, 4, 7, 2, 7, 0];
        let low: [Colour; 4] = [[0, 33, 76], WHITE, [50, 0, 106], [19; 3]];
        Some(match y {
            0..667 => bars[column(x, 7)],
            667..750 => bars[back[column(x, 7)]],
            _ if x < 714 => low[column(x * 1_000 / 714, 4).min(3)],
            _ => [[9; 3], [19; 3], [29; 3], [19; 3]][column((x - 714) * 1_000 / 286, 4).min(3)],
        })
    });
    let grid = |colour: Colour, under: Colour| {
        let line = |at: i64| at % 71 < 6;
        Sheet::new(size, under).paint(move |x, y| (line(x) || line(y)).then_some(colour))
    };
    let circle = grid(WHITE, GREY)
        .ring((500, 500), (420, 432), WHITE)
        .rect((280, 400, 720, 480), BLACK)
        .rect((280, 480, 720, 560), WHITE)
        .paint(|x, y| {
            ((280..720).contains(&x) && (560..640).contains(&y))
                .then(|| bars[column((x - 280) * 1_000 / 440, 8).min(7)])
        });
    vec![
        ("bars-75".to_owned(), blank().paint(|x, _| Some(bars[column(x, 8)]))),
        ("bars-100".to_owned(), blank().paint(|x, _| Some(full[column(x, 8)]))),
        ("bars-smpte".to_owned(), smpte),
        (
            "steps-of-grey".to_owned(),
            blank().paint(|x, _| Some([u8::try_from(x * 11 / 1_000 * 25).unwrap(); 3])),
        ),
        ("crosshatch".to_owned(), grid(WHITE, BLACK)),
        ("test-card".to_owned(), circle),
    ]
}

/// What frames anything: bars above and below or beside, borders, the frame of a code without one.
fn frames(size: (u32, u32)) -> Drawn {
    let mut all = Vec::new();
    for (tone, inside) in [("white", WHITE), ("grey", GREY)] {
        for bar in [60, 120, 180, 250, 340] {
            let within = (0, bar, 1_000, 1_000 - bar);
            all.push((
                format!("letterbox-{bar}-{tone}"),
                Sheet::new(size, BLACK).rect(within, inside),
            ));
            let within = (bar, 0, 1_000 - bar, 1_000);
            all.push((
                format!("pillarbox-{bar}-{tone}"),
                Sheet::new(size, BLACK).rect(within, inside),
            ));
        }
        for border in [20, 50, 100, 200] {
            let within = (border, border, 1_000 - border, 1_000 - border);
            all.push((
                format!("border-{border}-{tone}"),
                Sheet::new(size, BLACK).rect(within, inside),
            ));
        }
    }
    let mut code = Sheet::new(size, WHITE);
    for (left, top) in [(80, 80), (700, 80), (80, 700)] {
        code = code
            .rect((left, top, left + 220, top + 220), BLACK)
            .rect((left + 32, top + 32, left + 188, top + 188), WHITE)
            .rect((left + 64, top + 64, left + 156, top + 156), BLACK);
    }
    all.push(("code-without-code".to_owned(), code));
    all
}

/// What is shown while nothing is: play buttons, rings that turn, cards that say why.
fn waiting(size: (u32, u32)) -> Drawn {
    let mut all = Vec::new();
    for (tone, under, over) in
        [("dark", DARK, WHITE), ("black", BLACK, LIGHT), ("light", LIGHT, DARK)]
    {
        let blank = || Sheet::new(size, under);
        let middle = (500, 500);
        all.push((format!("play-{tone}"), blank().arrow(middle, 110, over)));
        let disc = blank().ring(middle, (0, 180), over).arrow(middle, 90, under);
        all.push((format!("play-in-disc-{tone}"), disc));
        let red = blank().rect((380, 400, 620, 600), [230, 30, 30]).arrow(middle, 55, WHITE);
        all.push((format!("play-in-red-{tone}"), red));
        for turn in 0..8 {
            let ring = blank().ring(middle, (90, 120), over);
            // An eighth of the ring is left open.
            let open = ring.paint(|x, y| (eighth(x - 500, y - 500) == turn).then_some(under));
            all.push((format!("ring-{turn}-{tone}"), open));
        }
        let card = blank().ring((500, 330), (0, 130), GREY).rect((470, 240, 530, 370), under);
        let card = card.rect((470, 390, 530, 430), under);
        let card = card.lines((260, 740), [560, 640], 35, over);
        all.push((format!("unavailable-{tone}"), card));
        let camera = blank().rect((330, 380, 580, 620), GREY).arrow((640, 500), 90, GREY);
        let camera = camera.paint(|x, y| ((x - y).abs() < 22).then_some(over));
        all.push((format!("camera-off-{tone}"), camera));
        let person = blank().ring((500, 380), (0, 150), GREY).ring((500, 1_000), (0, 370), GREY);
        all.push((format!("nobody-{tone}"), person));
        let place = blank().rect((200, 250, 800, 750), GREY).ring((340, 390), (0, 60), over);
        let place = place.paint(|x, y| {
            let hill = (500..750).contains(&y)
                && ((x - 600).abs() < (y - 450) * 9 / 10)
                && x < 800
                && x > 200;
            hill.then_some(over)
        });
        all.push((format!("no-picture-{tone}"), place));
        let count = blank().ring(middle, (300, 310), over).ring(middle, (360, 370), over);
        let count = count.rect((495, 0, 505, 1_000), over).rect((0, 495, 1_000, 505), over);
        all.push((format!("countdown-{tone}"), count));
        let title = blank().lines((300, 700), [470], 60, over);
        all.push((format!("title-{tone}"), title));
        all.push((format!("subtitle-{tone}"), blank().lines((200, 800), [850], 50, over)));
    }
    all
}

fn eighth(dx: i64, dy: i64) -> i64 {
    let steep = dy.abs() > dx.abs();
    match (dx >= 0, dy >= 0, steep) {
        (true, true, false) => 0,
        (true, true, true) => 1,
        (false, true, true) => 2,
        (false, true, false) => 3,
        (false, false, false) => 4,
        (false, false, true) => 5,
        (true, false, true) => 6,
        (true, false, false) => 7,
    }
}

/// Documents in which nothing stands.
fn papers(size: (u32, u32)) -> Drawn {
    let mut all = Vec::new();
    for (tone, under) in [("grey", GREY), ("dark", DARK)] {
        let page = Sheet::new(size, under).rect((150, 60, 850, 940), WHITE);
        all.push((format!("page-{tone}"), page.clone()));
        all.push((
            format!("page-with-head-{tone}"),
            page.clone().lines((220, 780), [130], 40, BLACK),
        ));
        let full = page.lines((220, 780), (130..880).step_by(50), 22, GREY);
        all.push((format!("page-of-lines-{tone}"), full));
    }
    let blank = || Sheet::new(size, WHITE);
    let rule = |every: i64| move |_: i64, y: i64| (y % every < 8).then_some([150, 180, 230]);
    all.push((
        "ruled-wide".to_owned(),
        blank().paint(rule(80)).rect((120, 0, 126, 1_000), [230, 120, 120]),
    ));
    all.push(("ruled-narrow".to_owned(), blank().paint(rule(45))));
    all.push(("all-lines".to_owned(), blank().lines((60, 940), (60..940).step_by(60), 30, BLACK)));
    let form = blank().lines((80, 400), (120..900).step_by(120), 25, BLACK);
    let form =
        (150..900).step_by(120).fold(form, |form, top| form.rect((80, top, 920, top + 60), LIGHT));
    all.push(("form".to_owned(), form));
    let browser = blank().rect((0, 0, 1_000, 90), LIGHT).rect((120, 25, 900, 65), WHITE);
    all.push(("browser".to_owned(), browser.clone()));
    let lost = browser.ring((500, 380), (90, 110), GREY).lines((300, 700), [580, 650], 30, GREY);
    all.push(("browser-lost".to_owned(), lost));
    let phone = blank().rect((0, 0, 1_000, 60), DARK).rect((0, 930, 1_000, 1_000), LIGHT);
    all.push(("app".to_owned(), phone.clone()));
    let chat = [(120, true), (260, false), (400, true), (540, true), (680, false)].into_iter();
    let chat = chat.fold(phone, |chat, (top, left)| {
        let (from, to) = if left { (50, 620) } else { (380, 950) };
        chat.rect((from, top, to, top + 100), if left { LIGHT } else { [80, 160, 250] })
    });
    all.push(("chat".to_owned(), chat));
    all
}

/// Templates of jokes: boxes for words around boxes for pictures, all empty.
fn panels(size: (u32, u32)) -> Drawn {
    let mut all = Vec::new();
    for (tone, paper, picture) in
        [("white", WHITE, GREY), ("black", BLACK, GREY), ("plain", WHITE, LIGHT)]
    {
        let blank = || Sheet::new(size, paper);
        let mut add = |name: &str, sheet: Sheet| all.push((format!("{name}-{tone}"), sheet));
        add("words-above", blank().rect((0, 220, 1_000, 1_000), picture));
        add("words-below", blank().rect((0, 0, 1_000, 780), picture));
        add("words-around", blank().rect((0, 180, 1_000, 820), picture));
        add(
            "poster",
            blank().rect((120, 90, 880, 700), picture).lines((250, 750), [770, 850], 40, GREY),
        );
        let line = if paper == BLACK { WHITE } else { BLACK };
        let cross = |sheet: Sheet, across: &[i64], down: &[i64]| {
            let sheet =
                across.iter().fold(sheet, |one, at| one.rect((0, at - 5, 1_000, at + 5), line));
            down.iter().fold(sheet, |one, at| one.rect((at - 5, 0, at + 5, 1_000), line))
        };
        add("two-rows", cross(blank(), &[500], &[]));
        add("two-columns", cross(blank(), &[], &[500]));
        add("four", cross(blank(), &[500], &[500]));
        add("six", cross(blank(), &[333, 667], &[500]));
        add("nine", cross(blank(), &[333, 667], &[333, 667]));
        add("two-and-words", cross(blank().rect((0, 0, 500, 1_000), picture), &[500], &[500]));
        add(
            "four-and-words",
            cross(blank().rect((0, 0, 500, 1_000), picture), &[250, 500, 750], &[500]),
        );
        add("three-rows", cross(blank(), &[333, 667], &[]));
        let post = blank().ring((110, 110), (0, 60), GREY).lines((200, 600), [80, 125], 25, GREY);
        add("post", post.lines((60, 940), [220, 280], 30, line).rect((60, 360, 940, 880), picture));
    }
    all
}
