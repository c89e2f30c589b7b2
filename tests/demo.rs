//! The first command that a new user types.

use assert_cmd::Command;

#[test]
fn the_demo_tells_its_story_and_leaves_with_0() {
    let demo = Command::cargo_bin("drift-gate").expect("the program").args(["demo", "--exit"]).assert().success();
    let told = String::from_utf8_lossy(&demo.get_output().stdout).into_owned();
    for words in [
        "1. In sync",
        "2. The template changes",
        "not shipped: core main still bakes the old config.yaml",
        "3. The repair",
        "Pull request 1 by drift-gate-bot: ",
        "4. A new file that no COPY takes",
        "skills/triage.md is not baked: no COPY takes it",
        "5. A pull request that would break the bake",
        "Merging it is refused by the forge: Not all required status checks successful",
        "Every step ended as it should",
    ] {
        assert!(told.contains(words), "the story lacks `{words}`:\n{told}");
    }
    assert!(!told.contains('\u{1b}'), "no colours where nobody sees them");
    assert!(demo.get_output().stderr.is_empty(), "{}", String::from_utf8_lossy(&demo.get_output().stderr));
}
