//! The description of the API, and the page that shows it.

use serde_json::Value;

use crate::support::server;

#[tokio::test]
async fn the_document_is_what_the_command_prints() {
    let response = server().get("/openapi.json").await;
    assert_eq!(response.headers()["content-type"], "application/json");
    let text = response.text().await.unwrap();
    assert_eq!(text, guiche_app::http::openapi::json());
    let document: Value = serde_json::from_str(&text).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[tokio::test]
async fn the_page_works_offline_and_under_its_own_policy() {
    let server = server();
    let redirect = server.get("/docs").await;
    assert_eq!(
        (redirect.status().as_u16(), redirect.headers()["location"].to_str().unwrap()),
        (308, "/docs/")
    );

    let page = server.get("/docs/").await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    let html = page.text().await.unwrap();
    for script in html.split("<script").skip(1) {
        let (tag, rest) = script.split_once('>').unwrap();
        assert!(tag.contains("src=\"./"), "from here: {tag}");
        assert!(
            rest.starts_with("</script>") || rest.trim_start().starts_with("</script>"),
            "nothing inline: {rest}"
        );
    }
    assert!(!html.contains("https://"), "nothing from elsewhere");
    for file in ["swagger-ui-bundle.js", "swagger-ui.css", "swagger-initializer.js"] {
        let response = server.get(&format!("/docs/{file}")).await;
        assert_eq!(response.status(), 200, "{file}");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    }
    let initializer = server.get("/docs/swagger-initializer.js").await.text().await.unwrap();
    assert!(initializer.contains("/openapi.json"), "{initializer}");
    assert_eq!(server.get("/docs/nothing.js").await.status(), 404);
    assert_eq!(server.get("/docs/..%2f..%2fetc%2fpasswd").await.status(), 404);
}
