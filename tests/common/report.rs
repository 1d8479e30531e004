//! What rinit's report says, read from the JSON on its stderr.

use serde_json::Value;

use super::{Ended, Rinit};

impl Rinit {
    /// Has the report written to stderr as JSON.
    pub fn json(self) -> Self {
        self.env("RINIT_STDERR_FORMAT", "json")
    }
}

impl Ended {
    /// The report, which must be whole.
    #[track_caller]
    pub fn report(&self) -> Value {
        let stderr = self.stderr();
        let line = stderr
            .lines()
            .find(|line| line.starts_with("{\"schema\""))
            .unwrap_or_else(|| panic!("no report: {self:?}"));
        serde_json::from_str(line).unwrap()
    }

    /// Status, cause and confidence, and a fact that must be in the report's text.
    #[track_caller]
    pub fn assert_cause(&self, status: i32, id: &str, confidence: &str, fact: &str) -> &Self {
        self.assert_code(status);
        let report = self.report();
        let found = (report["cause"]["id"].as_str().unwrap(), report["cause"]["confidence"].as_str().unwrap());
        assert_eq!(found, (id, confidence), "{report:#}");
        assert_eq!(report["exit_status"], status, "{report:#}");
        assert!(self.says(fact), "no {fact:?} in {report:#}");
        self
    }

    /// Whether `fact` stands in any text of the report.
    #[track_caller]
    pub fn says(&self, fact: &str) -> bool {
        let report = self.report();
        let lists = ["evidence", "ruled_out", "not_known"].map(|key| report[key].as_array().unwrap().clone()).concat();
        let notes = report["notes"].as_array().unwrap().iter().map(|note| note["summary"].clone());
        let texts = lists.into_iter().chain(notes).chain([report["message"].clone(), report["cause"]["next"].clone()]);
        texts.into_iter().any(|text| text.as_str().unwrap().contains(fact))
    }
}
