//! Links are the same however they are written, and lie under their host and paths.

use proptest::prelude::*;
use watchfire_signal::{
    link::{
        LinkError, LinkPrint, LinkScope, MAX_LINK_BYTES, MAX_LINKS, MAX_PATH_PLACES, MAX_PLACES,
    },
    value::{Kind, Value},
};

use crate::any;

fn met(link: &str) -> LinkPrint {
    LinkPrint::met(link).unwrap()
}

fn named(link: &str, scope: LinkScope) -> LinkPrint {
    LinkPrint::named(link, scope).unwrap()
}

#[test]
fn one_page_has_one_fingerprint() {
    let page = met("https://example.com/a/b?id=7&x=y%20z");
    for same in [
        "http://example.com/a/b?id=7&x=y%20z",
        "HTTPS://EXAMPLE.com:443/a/b?id=7&x=y+z",
        "http://example.com:80/a/b/?x=y%20z&id=7#part",
        "https://www.example.com/a/b?id=7&x=y z",
        "https://user:secret@example.com./a/./c/../b?id=7&x=y%20z",
        "example.com/a//b/?utm_source=mail&id=7&fbclid=abc&x=y%20z&UTM_medium=x",
        "  https://example.com/%61/%62?id=7&x=y%20z ",
    ] {
        assert_eq!(met(same), page, "{same}");
    }
    for other in [
        "https://example.com/a/b?id=8&x=y%20z",
        "https://example.com/a/b",
        "https://example.com/A/b?id=7&x=y%20z",
        "https://example.com:8443/a/b?id=7&x=y%20z",
        "https://m.example.com/a/b?id=7&x=y%20z",
        "https://example.com/a%2Fb?id=7&x=y%20z",
    ] {
        assert_ne!(met(other).digest(), page.digest(), "{other}");
    }
    assert_eq!(met("https://bücher.example/ä"), met("https://xn--bcher-kva.example/%c3%a4"));
}

#[test]
fn a_fragment_that_names_a_page_counts_and_one_that_names_a_part_of_it_does_not() {
    let pages = [
        "https://mega.nz/",
        "https://mega.nz/#!A!k",
        "https://mega.nz/#!B!k",
        "https://mega.nz/#F!A!k",
        "https://mega.nz/#F!B!k",
        "https://matrix.to/#/#room:a.example",
        "https://matrix.to/#/@someone:a.example",
        "https://web.telegram.org/#@one",
        "https://web.telegram.org/k/#-100",
        "https://web.telegram.org/k/#-200",
        "https://app.example/x?y=1#/user/7",
        "https://app.example/x?y=1#/user/8",
        "https://app.example/x?y=1#/user/8?z=1",
        "https://app.example/x?y=1#@user",
    ];
    for (place, page) in pages.iter().enumerate() {
        for other in &pages[place + 1..] {
            assert_ne!(met(page).digest(), met(other).digest(), "{page} {other}");
        }
    }
    for (page, same) in [
        (pages[0], "https://mega.nz/#part"),
        (pages[0], "https://mega.nz/#!"),
        (pages[0], "https://mega.nz/#/"),
        (pages[0], "https://mega.nz/#!/"),
        (pages[0], "https://mega.nz/#t=30"),
        (pages[0], "https://mega.nz/#:~:text=a/b"),
        (pages[1], "http://mega.nz#%21A%21k"),
        (pages[5], "https://matrix.to/#/%23room%3aa.example/"),
        (pages[10], "https://app.example/x/?utm_source=m&y=1#/user//7/:~:text=x"),
        (pages[12], "https://app.example/x?y=1#/user/8?fbclid=q&z=1"),
    ] {
        assert_eq!(met(page), met(same), "{page} {same}");
    }
}

#[test]
fn parameters_count_by_their_bytes_also_where_these_are_no_utf_8() {
    let [one, two] = ["https://a.example/?q=%CF%F0", "https://a.example/?q=%C2%E5"].map(met);
    assert_ne!(one.digest(), two.digest());
    for same in ["https://a.example/?%71=%cf%f0", "https://a.example/?&utm_%FF=x&q=%CF%f0&"] {
        assert_eq!(met(same), one, "{same}");
    }
    assert_ne!(met("https://a.example/?%CF=x").digest(), met("https://a.example/?%C2=x").digest());
    // What is no percent-encoding stands for itself, and names without a value have an empty one.
    assert_eq!(met("https://a.example/?q=%zz%"), met("https://a.example/?q=%25zz%25"));
    assert_eq!(met("https://a.example/?q"), met("https://a.example/?q="));
}

#[test]
fn a_prefix_covers_fragments_under_it_and_one_with_a_fragment_only_what_goes_on_with_it() {
    let path = named("https://app.example/x", LinkScope::Prefix);
    let user = named("https://app.example/x#/user/7", LinkScope::Prefix);
    for under in ["app.example/x#/user/7", "app.example/x?y=1#/user/7/photos?z=2"] {
        assert!(path.covers(&met(under)) && user.covers(&met(under)), "{under}");
    }
    for other in ["app.example/x", "app.example/x#/user/70", "app.example/x/user/7"] {
        assert!(path.covers(&met(other)) && !user.covers(&met(other)), "{other}");
    }
    assert!(!named("https://mega.nz/#!A!k", LinkScope::Prefix).covers(&met("mega.nz/#!B!k")));
}

#[test]
fn a_prefix_covers_what_lies_under_it_by_whole_segments() {
    let prefix = named("https://example.com/a/b?x=1", LinkScope::Prefix);
    for under in ["http://example.com/a/b", "example.com/a/b/c/d?x=2#y", "https://example.com/a/b/"]
    {
        assert!(prefix.covers(&met(under)), "{under}");
    }
    for other in ["https://example.com/a/bc", "https://example.com/a", "https://x.example.com/a/b"]
    {
        assert!(!prefix.covers(&met(other)), "{other}");
    }
    let site = named("https://example.com", LinkScope::Prefix);
    assert!(site.covers(&met("https://example.com/x")));
    assert!(!site.covers(&met("https://x.example.com/x")));
}

#[test]
fn a_host_covers_itself_and_hosts_below_it() {
    let host = named("https://example.com/whatever", LinkScope::Host);
    for under in ["http://example.com:8080/", "https://a.b.example.com/c?d=e", "www.example.com"] {
        assert!(host.covers(&met(under)), "{under}");
    }
    for other in ["https://notexample.com", "https://example.com.evil.example", "https://com"] {
        assert!(!host.covers(&met(other)), "{other}");
    }
    let address = named("http://192.0.2.7/x", LinkScope::Host);
    assert!(address.covers(&met("http://192.0.2.7/y")));
    assert!(!address.covers(&met("http://192.0.2.8/x")));
    assert!(!named("http://2.7", LinkScope::Host).covers(&met("http://192.0.2.7/x")));
}

#[test]
fn an_exact_link_covers_no_other_and_a_place_is_not_the_page() {
    let exact = named("https://example.com/a", LinkScope::Exact);
    assert!(exact.covers(&met("https://example.com/a/")));
    assert!(!exact.covers(&met("https://example.com/a/b")));
    assert!(!exact.covers(&met("https://example.com/a?b=c")));
    assert_ne!(exact.digest(), named("https://example.com/a", LinkScope::Prefix).digest());
    // What was met has no more to say when it is held than the link itself.
    assert!(!met("https://example.com/a").covers(&met("https://example.com/b")));
}

#[test]
fn what_is_no_link_of_the_web_is_refused_by_name() {
    let error = |link: &str| LinkPrint::met(link).unwrap_err();
    assert_eq!(error("ftp://example.com/x"), LinkError::Scheme("ftp".to_owned()));
    assert_eq!(error("mailto:a@example.com"), LinkError::Scheme("mailto".to_owned()));
    assert!(matches!(error("javascript:alert(1.5)"), LinkError::Scheme(_)));
    assert!(matches!(error("not a link"), LinkError::Address(_)));
    assert!(matches!(error(""), LinkError::Address(_)));
    let long = format!("https://example.com/{}", "a".repeat(MAX_LINK_BYTES));
    assert!(matches!(error(&long), LinkError::TooLong(_)));
    let broad = LinkPrint::named("https://com/", LinkScope::Host).unwrap_err();
    assert_eq!(broad, LinkError::TooBroad("com".to_owned()));
}

#[test]
fn a_host_of_very_many_names_is_met_and_so_are_the_shortest_above_it() {
    let labels: Vec<String> = (0..30).map(|number| format!("l{number}")).collect();
    let host = |from: usize| format!("{}.example", labels[from..].join("."));
    let deepest = met(&format!("https://{}/x", host(0)));
    assert!(named(&host(0), LinkScope::Host).covers(&deepest));
    for from in 21..30 {
        assert!(named(&host(from), LinkScope::Host).covers(&deepest), "{}", host(from));
    }
    assert!(deepest.all().count() <= MAX_PLACES + 1);
}

#[test]
fn a_host_under_which_strangers_have_names_is_neither_named_nor_met() {
    for public in ["com", "co.uk", "www.co.uk", "github.io", "blogspot.com", "公司.cn", "x.ck"] {
        let link = format!("https://{public}/x");
        let error = LinkPrint::named(&link, LinkScope::Host).unwrap_err();
        assert!(matches!(error, LinkError::TooBroad(_)), "{public}: {error}");
        assert!(named(&link, LinkScope::Exact).covers(&met(&link)));
        assert!(named(&link, LinkScope::Prefix).covers(&met(&link)));
    }
    for own in
        ["bad.co.uk", "bad.github.io", "bad.公司.cn", "wordpress.com", "evil.example", "www.ck"]
    {
        let own = named(&format!("https://{own}"), LinkScope::Host);
        assert_eq!(own.scope(), LinkScope::Host);
    }
    // A peer that names one all the same finds nothing: it is no place of a link.
    let places = |link: &str| met(link).all().count();
    assert_eq!(places("https://a.bad.github.io/"), places("https://a.bad.example/"));
    assert_eq!(places("https://a.bad.co.uk/"), places("https://a.bad.example/"));
    assert!(named("bad.github.io", LinkScope::Host).covers(&met("https://a.bad.github.io/x")));
}

#[test]
fn a_prefix_that_is_too_deep_to_be_found_is_refused_by_name() {
    let link = |depth: usize| format!("https://a.example{}", "/s".repeat(depth));
    let most = named(&link(MAX_PATH_PLACES), LinkScope::Prefix);
    assert!(most.covers(&met(&link(MAX_PATH_PLACES + 9))));
    let deep = LinkPrint::named(&link(MAX_PATH_PLACES + 1), LinkScope::Prefix).unwrap_err();
    assert_eq!(deep, LinkError::TooDeep(MAX_PATH_PLACES + 1));
    let fragment = format!("{}#/s/s", link(MAX_PATH_PLACES - 1));
    let deep = LinkPrint::named(&fragment, LinkScope::Prefix).unwrap_err();
    assert_eq!(deep, LinkError::TooDeep(MAX_PATH_PLACES + 1));
}

#[test]
fn links_in_a_text_are_read_as_it_is_shown() {
    let of = |links: &[&str]| links.iter().map(|link| met(link)).collect::<Vec<_>>();
    assert_eq!(
        LinkPrint::in_text("<a href=\"https://a.example/?x=1&amp;y=2\">https&#58;//b.example&gt;"),
        of(&["https://a.example/?x=1&y=2", "https://b.example"])
    );
    assert_eq!(LinkPrint::in_text("https:// http://[ https://% www."), of(&[]));
}

#[test]
fn links_that_say_the_same_hide_no_other() {
    let mut text = String::new();
    for number in 0..200 {
        text.push_str(&format!(
            "https://a.example/?utm_source={number}#{number} http://[{number} "
        ));
    }
    let ours = |number: usize| format!("https://a.example/{number}");
    let links: Vec<String> = (1..2 * MAX_LINKS).map(ours).collect();
    let found = LinkPrint::in_text(&(text + &links.join("\n")));
    assert_eq!(found.len(), MAX_LINKS);
    assert_eq!(found[0], met("https://a.example/"));
    assert_eq!(found[MAX_LINKS - 1], met(&ours(MAX_LINKS - 1)));
    const { assert!(MAX_LINKS > 16) }
}

#[test]
fn no_text_makes_the_search_for_links_slow() {
    for part in ["https://a/", "https://a.com/?u=", "www.", "(", "a.com/", "https://[", "。"] {
        let text = part.repeat((256 << 10) / part.len());
        assert!(LinkPrint::in_text(&text).len() <= MAX_LINKS, "{part}");
    }
}

#[test]
fn bytes_that_are_no_fingerprint_are_refused() {
    let met = met("https://a.example.com/b/c").to_bytes();
    let named = named("https://a.example.com/b", LinkScope::Prefix).to_bytes();
    assert!(met.len() > 33 && named.len() == 33);
    let most = [&[0][..], &[1; 32].repeat(MAX_PLACES + 1)].concat();
    assert!(LinkPrint::from_bytes(&most).is_ok());
    for wrong in [
        vec![],
        vec![0],
        vec![3; 33],
        met[..40].to_vec(),
        [&named[..], &[0; 32]].concat(),
        [&most[..], &[0; 32]].concat(),
    ] {
        assert!(LinkPrint::from_bytes(&wrong).is_err(), "{wrong:?}");
        assert!(Value::from_bytes(Kind::Url, &wrong).is_err());
    }
}

proptest! {
    #[test]
    fn what_is_named_covers_itself_or_is_refused(
        text in any::<String>(), tail in any::<String>(), host in "([a-z0-9]{1,9}[.]){0,30}example",
        path in "(/[a-z%0-9]{0,4}){0,30}(#[/!]?([a-z]{0,3}/){0,9})?",
    ) {
        let own = format!("https://{host}{path}");
        for link in [text.clone(), format!("https://{text}"), format!("http://a.example/{text}?{tail}"), own] {
            let Ok(print) = LinkPrint::met(&link) else { continue };
            prop_assert!(print.all().count() <= MAX_PLACES + 1);
            for scope in LinkScope::ALL {
                match LinkPrint::named(&link, *scope) {
                    Ok(named) => prop_assert!(named.covers(&print), "{link} {scope:?}"),
                    Err(LinkError::TooDeep(depth)) => prop_assert!(depth > MAX_PATH_PLACES),
                    Err(error) => prop_assert!(matches!(error, LinkError::TooBroad(_))),
                }
            }
        }
        prop_assert!(LinkPrint::in_text(&text.repeat(9)).len() <= MAX_LINKS);
    }

    #[test]
    fn a_fingerprint_is_read_as_it_is_written(print in any::link_print()) {
        prop_assert_eq!(LinkPrint::from_bytes(&print.to_bytes()).unwrap(), print.clone());
        let value = Value::Url(print);
        prop_assert_eq!(Value::parse(Kind::Url, &value.to_text()).unwrap(), value);
    }
}
