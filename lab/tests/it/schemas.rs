//! The JSON Schemas that lie beside the scenarios and the reports: they are of this program, and real files keep to them.

use std::path::{Path, PathBuf};

use iptables_lab::matrix::Matrix;
use iptables_lab::{inventory, recording, report, scenario};
use rstest::rstest;
use serde_json::Value;

use super::lab::{both, iptables_lab};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

#[rstest]
#[case("scenarios/schema.json", scenario::schema())]
#[case("reports/schema.json", iptables_lab::report::json::schema())]
#[case(
    "reports/diagnosis-schema.json",
    iptables_lab::report::diagnosis_json::schema()
)]
#[case("reports/advice-schema.json", report::advice::schema())]
#[case("reports/inventory-schema.json", inventory::schema())]
#[case("reports/compat-schema.json", report::compat::schema())]
fn the_schema_that_lies_there_is_this_programs(
    #[case] name: &str,
    #[case] schema: schemars::Schema,
) {
    let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(file(name), &text).unwrap();
    }
    let lying = std::fs::read_to_string(file(name)).unwrap_or_default();
    assert!(
        lying == text,
        "{name} is not of this program: UPDATE_SCHEMAS=1 cargo test schema writes it"
    );
}

#[track_caller]
fn keeps_to(schema: &schemars::Schema, instance: &Value, name: &str) {
    let validator = jsonschema::validator_for(schema.as_value()).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(instance)
        .map(|error| format!("{name} at {}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn every_scenario_keeps_to_its_schema_and_what_is_none_does_not() {
    let schema = scenario::schema();
    for scenario in scenario::shipped().unwrap() {
        let value: Value = toml::from_str(&scenario.text).unwrap();
        keeps_to(&schema, &value, &scenario.name);
        let validator = jsonschema::validator_for(schema.as_value()).unwrap();
        let mut wrong = value.clone();
        wrong["colour"] = 1.into();
        assert!(!validator.is_valid(&wrong));
    }
}

/// Between them they yield every verdict.
#[test]
fn the_matrix_keeps_to_its_schema() {
    let schema = iptables_lab::report::json::schema();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings/verdicts");
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let recording = recording::read(&path).unwrap().recording;
        let mut json = Vec::new();
        iptables_lab::report::json::write(&Matrix::of(&recording), &mut json).unwrap();
        let matrix = serde_json::from_slice(&json).unwrap();
        keeps_to(&schema, &matrix, &path.display().to_string());
    }
}

/// What a mark match comes to is there, and nothing is said of a build that did not run.
#[test]
fn compatibility_keeps_to_its_schema_and_is_of_builds_that_ran() {
    let schema = report::compat::schema();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings");
    let path = folder.join("kube-firewall-by-1.8.9.jsonl");
    let matrix = Matrix::of(&recording::read(&path).unwrap().recording);
    let compat = report::compat::compat(&matrix);
    let value = serde_json::to_value(&compat).unwrap();
    keeps_to(&schema, &value, &path.display().to_string());
    let mark = &compat.parts["match mark"];
    let native = mark
        .written
        .iter()
        .find(|(form, _)| form.starts_with("meta mark"));
    assert!(native.is_some_and(|(_, by)| by.iter().any(|id| id.as_str() == "1.8.9-nft")));
    let lost = mark
        .misread
        .iter()
        .find(|of| of.cause == "native-mark")
        .unwrap();
    assert!(lost.by.iter().any(|id| id.as_str() == "debian-1.8.7-1-nft"));
    let named = compat.parts.values().flat_map(|part| {
        let written = part.written.values().flatten();
        written.chain(part.misread.iter().flat_map(|of| &of.by))
    });
    let named: Vec<_> = named.collect();
    assert!(!named.is_empty() && named.iter().all(|id| compat.builds.contains(id)));
}

#[rstest]
#[case::harm("kube-router@1.5.1,kube-proxy@1.30")]
#[case::two_backends("1.8.9-legacy")]
#[case::not_tested("tailscale@1.82.0")]
fn advice_keeps_to_its_schema(#[case] pods: &str) {
    let mut command = iptables_lab();
    command.args([
        "advise",
        "--published",
        "--format",
        "json",
        "--host",
        "debian@12",
        "--pods",
        pods,
    ]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", both(&output));
    let advice: Value = serde_json::from_slice(&output.stdout).unwrap();
    keeps_to(&report::advice::schema(), &advice, "the advice");
    assert_eq!(
        advice["members"].as_array().unwrap().len(),
        pods.split(',').count() + 1
    );
}
