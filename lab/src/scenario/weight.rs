//! Which scenarios run first: those that people wait for.

use super::Scenario;

/// How soon a scenario runs; the first is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Rules of the user's own.
    Own,
    /// Marks, whose loss the lab was made for.
    Marks,
    /// Kubernetes' own components.
    Kubernetes,
    /// What runs beside them on a node.
    Node,
    /// All others.
    Others,
}

/// The scenarios of other groups that are about marks: kubelet's rule first, in which they were first lost.
const MARKS: [&str; 3] = ["kube-firewall", "kubelet-mark-drop", "k0s-node"];

impl Scenario {
    /// How soon it runs.
    pub fn weight(&self) -> Weight {
        match self.group.as_str() {
            _ if self.source.is_none() => Weight::Own,
            _ if MARKS.contains(&self.name.as_str()) => Weight::Marks,
            "marks" => Weight::Marks,
            "kubernetes" => Weight::Kubernetes,
            "cni" | "mesh" => Weight::Node,
            _ => Weight::Others,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::scenario::shipped;

    #[test]
    fn marks_run_first_and_then_kubernetes() {
        let mut shipped = shipped().unwrap();
        for name in MARKS {
            assert!(shipped.iter().any(|of| of.name == name), "{name}");
        }
        shipped.sort_by_key(Scenario::weight);
        let first: Vec<&str> = shipped.iter().map(|of| &*of.name).take(4).collect();
        assert_eq!(
            first,
            [
                "k0s-node",
                "kube-firewall",
                "kubelet-mark-drop",
                "mark-matches"
            ]
        );
        let of_kubernetes = shipped.iter().skip(4);
        let next: Vec<&str> = of_kubernetes.map(|of| &*of.group).take(3).collect();
        assert_eq!(next, ["kubernetes"; 3]);
    }
}
