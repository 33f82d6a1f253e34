//! Where the sender goes, and where it does not.

use std::sync::Arc;

use guiche_adapter_webhooks::{AllowPrivate, SenderSettings};
use guiche_webhooks::{Answer, EndpointUrl, EventSender as _, SendError, UrlRefused};

use crate::receiver::{Answers, Receiver, answer, request, sender};

const FINE: Result<Answer, SendError> = Ok(Answer { status: 200, retry_after: None });

fn refused(settings: SenderSettings, url: &str) -> Result<(), UrlRefused> {
    sender(settings).admit(&EndpointUrl::parse(url).unwrap())
}

#[tokio::test]
async fn by_default_only_encrypted_and_public_addresses_make_sense() {
    for (url, expected) in [
        ("https://example.org/hook", Ok(())),
        ("https://1.1.1.1/", Ok(())),
        ("https://[2606:4700:4700::1111]:8443/", Ok(())),
        ("http://example.org/", Err(UrlRefused::NotHttps)),
        ("http://127.0.0.1/", Err(UrlRefused::NotHttps)),
        ("https://127.0.0.1/", Err(UrlRefused::Private)),
        // The same address in the notations that browsers read.
        ("https://0x7f.1/", Err(UrlRefused::Private)),
        ("https://2130706433/", Err(UrlRefused::Private)),
        ("https://0177.0.0.1/", Err(UrlRefused::Private)),
        ("https://127.1/", Err(UrlRefused::Private)),
        ("https://%31%32%37.0.0.1/", Err(UrlRefused::Private)),
        ("https://①②⑦.0.0.1/", Err(UrlRefused::Private)),
        ("https://[::1]/", Err(UrlRefused::Private)),
        ("https://[::ffff:127.0.0.1]/", Err(UrlRefused::Private)),
        ("https://[64:ff9b::a9fe:a9fe]/", Err(UrlRefused::Private)),
        ("https://169.254.169.254/latest/meta-data/", Err(UrlRefused::Private)),
        ("https://0.0.0.0/", Err(UrlRefused::Private)),
        ("https://10.0.0.1/", Err(UrlRefused::Private)),
    ] {
        assert_eq!(refused(SenderSettings::default(), url), expected, "{url}");
        if expected.is_err() {
            let outcome = sender(SenderSettings::default()).send(request(url)).await;
            assert_eq!(outcome, Err(SendError::AddressRefused), "{url}");
        }
    }
}

#[tokio::test]
async fn plain_http_goes_to_this_machine_only_and_only_where_it_is_allowed() {
    let allowing = |allow_private, plain_loopback| SenderSettings {
        allow_private,
        plain_loopback,
        ..SenderSettings::default()
    };
    let everything = || AllowPrivate::Everything;
    assert_eq!(refused(allowing(everything(), true), "http://127.0.0.1:1/"), Ok(()));
    assert_eq!(refused(allowing(everything(), true), "http://localhost:1/"), Ok(()));
    assert_eq!(refused(allowing(everything(), true), "http://[::1]:1/"), Ok(()));
    assert_eq!(refused(allowing(everything(), true), "http://10.0.0.1/"), Err(UrlRefused::NotHttps));
    assert_eq!(refused(allowing(everything(), true), "http://example.org/"), Err(UrlRefused::NotHttps));
    assert_eq!(refused(allowing(everything(), false), "http://127.0.0.1/"), Err(UrlRefused::NotHttps));
    assert_eq!(refused(allowing(AllowPrivate::Nothing, true), "http://127.0.0.1/"), Err(UrlRefused::Private));
    let receiver = Receiver::plain(answer("200 OK")).await;
    let url = format!("http://127.0.0.1:{}/", receiver.port);
    assert_eq!(sender(receiver.settings()).send(request(&url)).await, FINE);
}

/// Every name that leads to a private address is refused, whatever else it leads to is called.
#[tokio::test]
async fn a_name_is_judged_by_where_it_leads() {
    let receiver = Receiver::encrypted("127.0.0.1:0", answer("200 OK")).await;
    let url = format!("https://hooks.example:{}/", receiver.port);
    for (leads_to, allow_private, expected) in [
        ("127.0.0.1", AllowPrivate::Nothing, Err(SendError::AddressRefused)),
        ("::ffff:127.0.0.1", AllowPrivate::Nothing, Err(SendError::AddressRefused)),
        ("169.254.169.254", AllowPrivate::Nothing, Err(SendError::AddressRefused)),
        ("fd00::1", AllowPrivate::Nothing, Err(SendError::AddressRefused)),
        (
            "127.0.0.1",
            AllowPrivate::Networks(vec!["10.0.0.0/8".parse().unwrap()]),
            Err(SendError::AddressRefused),
        ),
        ("127.0.0.1", AllowPrivate::Networks(vec!["127.0.0.0/8".parse().unwrap()]), FINE),
        ("127.0.0.1", AllowPrivate::Everything, FINE),
    ] {
        let lookup = Arc::new(Answers::always(leads_to));
        let settings = SenderSettings { allow_private, lookup, ..receiver.settings() };
        assert_eq!(sender(settings).send(request(&url)).await, expected, "{leads_to}");
    }
    assert_eq!(receiver.heard().len(), 2);
}

#[tokio::test]
async fn of_several_addresses_only_those_that_are_allowed_are_called() {
    let port = Receiver::encrypted("127.0.0.1:0", answer("200 OK")).await.port;
    let inside = Receiver::encrypted("127.0.0.2:0", answer("200 OK")).await;
    // The allowed one has nobody at that port, the other one has.
    assert_ne!(port, inside.port);
    let lookup = Arc::new(Answers::in_turn(&[&["127.0.0.2", "127.0.0.1"]]));
    let settings = SenderSettings { lookup, ..inside.settings() };
    let url = format!("https://hooks.example:{}/", inside.port);
    assert_eq!(sender(settings).send(request(&url)).await, Err(SendError::Unreachable));
    assert!(inside.heard().is_empty());
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_the_second_time_is_judged_again() {
    let outside = Receiver::encrypted("127.0.0.1:0", answer("200 OK")).await;
    let inside = Receiver::encrypted(&format!("127.0.0.2:{}", outside.port), answer("200 OK")).await;
    let lookup = Arc::new(Answers::in_turn(&[&["127.0.0.1"], &["127.0.0.2"]]));
    let mut settings = SenderSettings { lookup: lookup.clone(), ..outside.settings() };
    settings.extra_roots.extend(inside.settings().extra_roots);
    let sender = sender(settings);
    let url = format!("https://hooks.example:{}/", outside.port);
    assert_eq!(sender.send(request(&url)).await, FINE);
    assert_eq!(
        *lookup.asked.lock().unwrap(),
        ["hooks.example"],
        "what was judged is what is called: one question"
    );
    assert_eq!(sender.send(request(&url)).await, Err(SendError::AddressRefused));
    assert_eq!((outside.heard().len(), inside.heard().len()), (1, 0));
}

#[tokio::test]
async fn a_name_that_leads_nowhere_is_called_so() {
    let settings = SenderSettings { lookup: Arc::new(Answers::in_turn(&[&[]])), ..SenderSettings::default() };
    assert_eq!(sender(settings).send(request("https://nowhere.example/")).await, Err(SendError::NameUnknown));
}
