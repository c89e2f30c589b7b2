//! Migrations are embedded at compile time: a change in them must compile again.
fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
