//! The catalogue under its editor's hand.

use std::collections::HashSet;

use guiche_kernel::StoreError;

use super::CatalogueFixture;
use crate::testing::license_schema;
use crate::{NewOperation, OperationName};

fn new(name: &str, price: u64) -> NewOperation {
    NewOperation::try_new(name, "A service (um serviço).", price, license_schema()).expect("valid")
}

fn named(name: &str) -> OperationName {
    OperationName::parse(name).expect("valid")
}

/// Everything that was given reads back, and it is offered at once, under a new number.
pub async fn what_is_added_is_offered_as_it_was_given(fixture: &impl CatalogueFixture) {
    let (editor, catalogue) = (fixture.editor(), fixture.catalogue());
    let before: HashSet<_> = editor.entries().await.expect("listed").iter().map(|entry| entry.id).collect();
    let id = editor.add(&new("passport", 75_000)).await.expect("added");
    assert!(!before.contains(&id), "{id} was given before");
    let found = catalogue.find(id).await.expect("found").expect("offered");
    assert_eq!((found.id, found.name.as_str(), found.price.get()), (id, "passport", 75_000));
    assert_eq!(found.description, "A service (um serviço).");
    assert_eq!(found.form.schema(), &license_schema());
    assert_eq!(catalogue.find_by_name("passport").await.expect("found").expect("offered").id, id);
    let entries = editor.entries().await.expect("listed");
    let entry = entries.iter().find(|entry| entry.id == id).expect("listed");
    assert_eq!((entry.name.as_str(), entry.price.get(), entry.active), ("passport", 75_000, true));
    assert!(entries.is_sorted_by_key(|entry| entry.id));
}

/// Also when it is no longer offered: a name means one thing for ever.
pub async fn a_name_is_given_once(fixture: &impl CatalogueFixture) {
    let (editor, catalogue) = (fixture.editor(), fixture.catalogue());
    let id = editor.add(&new("passport", 1)).await.expect("added");
    let again = editor.add(&new("passport", 2)).await;
    assert!(matches!(again, Err(StoreError::Duplicate)), "{again:?}");
    assert_eq!(catalogue.find(id).await.expect("found").expect("offered").price.get(), 1);
    assert!(editor.set_active(&named("passport"), false).await.expect("withdrawn"));
    let again = editor.add(&new("passport", 2)).await;
    assert!(matches!(again, Err(StoreError::Duplicate)), "{again:?}");
}

/// Nobody gets another's number.
pub async fn additions_at_once_get_numbers_of_their_own(fixture: &impl CatalogueFixture) {
    let editor = fixture.editor();
    let names = ["a", "b", "c", "d"].map(|name| new(name, 1));
    let added = futures::future::join_all(names.iter().map(|new| editor.add(new))).await;
    let ids: HashSet<_> = added.into_iter().map(|added| added.expect("added")).collect();
    assert_eq!(ids.len(), 4);
}

/// The others are duplicates.
pub async fn of_additions_of_one_name_at_once_one_wins(fixture: &impl CatalogueFixture) {
    let editor = fixture.editor();
    let prices = [1, 2, 3, 4].map(|price| new("passport", price));
    let added = futures::future::join_all(prices.iter().map(|new| editor.add(new))).await;
    assert_eq!(added.iter().filter(|added| added.is_ok()).count(), 1, "{added:?}");
    assert!(added.iter().all(|added| matches!(added, Ok(_) | Err(StoreError::Duplicate))), "{added:?}");
}

/// As often as one likes, and the entry stays.
pub async fn what_is_withdrawn_is_no_longer_offered_and_can_come_back(fixture: &impl CatalogueFixture) {
    let (editor, catalogue) = (fixture.editor(), fixture.catalogue());
    let id = editor.add(&new("passport", 1)).await.expect("added");
    for active in [false, false, true, true] {
        assert!(editor.set_active(&named("passport"), active).await.expect("known"));
        assert_eq!(catalogue.find(id).await.expect("asked").is_some(), active);
        assert_eq!(catalogue.find_by_name("passport").await.expect("asked").is_some(), active);
        let listed = catalogue.list().await.expect("listed");
        assert_eq!(listed.iter().any(|operation| operation.id == id), active);
        let entries = editor.entries().await.expect("listed");
        let entry = entries.iter().find(|entry| entry.id == id).expect("it stays");
        assert_eq!(entry.active, active);
    }
}

/// And nothing is made of it.
pub async fn an_unknown_name_is_told(fixture: &impl CatalogueFixture) {
    let editor = fixture.editor();
    let before = editor.entries().await.expect("listed");
    assert!(!editor.set_active(&named("no_such"), true).await.expect("asked"));
    assert_eq!(editor.entries().await.expect("listed"), before);
}
