//! Nodes, relationships, paths and points, as they come from the server. An element's text id is the one to keep: the
//! number is what older servers knew it by.

use crate::value::Map;

/// A node.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Node {
    /// Its number, which may be given to another one later.
    pub id: i64,
    /// What the server calls it; the number as text where it has nothing better (Bolt 4).
    pub element_id: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Its properties.
    pub properties: Map,
}

/// A relationship and its ends.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Relationship {
    /// Its number.
    pub id: i64,
    /// What the server calls it.
    pub element_id: String,
    /// The number of the node that it starts at.
    pub start: i64,
    /// What the server calls that node.
    pub start_element_id: String,
    /// The number of the node that it ends at.
    pub end: i64,
    /// What the server calls that node.
    pub end_element_id: String,
    /// Its type.
    pub kind: String,
    /// Its properties.
    pub properties: Map,
}

/// A relationship of a path: its ends follow from where it stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct UnboundRelationship {
    /// Its number.
    pub id: i64,
    /// What the server calls it.
    pub element_id: String,
    /// Its type.
    pub kind: String,
    /// Its properties.
    pub properties: Map,
}

/// A walk through the graph: the distinct nodes and relationships, and the order in which they are met.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Path {
    pub(crate) nodes: Vec<Node>,
    pub(crate) relationships: Vec<UnboundRelationship>,
    /// Pairs: a relationship, counted from one and negative when it is walked against its direction, and the node it leads to.
    pub(crate) steps: Vec<(i64, usize)>,
}

impl Path {
    /// A path, if every step leads somewhere.
    pub(crate) fn new(nodes: Vec<Node>, relationships: Vec<UnboundRelationship>, indices: &[i64]) -> Option<Self> {
        if nodes.is_empty() || !indices.len().is_multiple_of(2) {
            return None;
        }
        let mut steps = Vec::with_capacity(indices.len() / 2);
        for pair in indices.chunks_exact(2) {
            let known = usize::try_from(pair[0].unsigned_abs()).is_ok_and(|at| at >= 1 && at <= relationships.len());
            let node = usize::try_from(pair[1]).ok().filter(|at| *at < nodes.len())?;
            steps.push(known.then_some((pair[0], node))?);
        }
        Some(Self { nodes, relationships, steps })
    }

    /// The distinct nodes; the first is where the path starts.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// How many relationships are walked.
    pub fn length(&self) -> usize {
        self.steps.len()
    }

    /// The nodes in the order of the walk: one more than its length.
    pub fn walk(&self) -> impl Iterator<Item = &Node> {
        let rest = self.steps.iter().filter_map(|(_, node)| self.nodes.get(*node));
        self.nodes.first().into_iter().chain(rest)
    }

    /// The relationships in the order of the walk, with the ends that they really have.
    pub fn relationships(&self) -> Vec<Relationship> {
        let mut from = self.nodes.first();
        let mut found = Vec::with_capacity(self.steps.len());
        for (relationship, to) in &self.steps {
            let to = self.nodes.get(*to);
            let at = usize::try_from(relationship.unsigned_abs()).unwrap_or(0).wrapping_sub(1);
            if let (Some(link), Some(from), Some(to)) = (self.relationships.get(at), from, to) {
                let (start, end) = if *relationship > 0 { (from, to) } else { (to, from) };
                found.push(link.between(start, end));
            }
            from = to;
        }
        found
    }
}

impl UnboundRelationship {
    fn between(&self, start: &Node, end: &Node) -> Relationship {
        Relationship {
            id: self.id,
            element_id: self.element_id.clone(),
            start: start.id,
            start_element_id: start.element_id.clone(),
            end: end.id,
            end_element_id: end.element_id.clone(),
            kind: self.kind.clone(),
            properties: self.properties.clone(),
        }
    }
}

/// A point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The reference system: 4326 and 4979 are longitude, latitude (and height), 7203 and 9157 a plane and a space.
    pub srid: i64,
    /// The first coordinate.
    pub x: f64,
    /// The second coordinate.
    pub y: f64,
    /// The third coordinate, if there is one.
    pub z: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: i64) -> Node {
        Node { id, element_id: format!("n{id}"), ..Node::default() }
    }

    #[test]
    fn a_path_walks_against_the_direction_where_the_index_is_negative() {
        let link = UnboundRelationship { id: 7, kind: "KNOWS".to_owned(), ..UnboundRelationship::default() };
        let path = Path::new(vec![node(1), node(2)], vec![link], &[-1, 1, 1, 0]).unwrap();
        let ends: Vec<(i64, i64)> = path.relationships().iter().map(|link| (link.start, link.end)).collect();
        assert_eq!(ends, [(2, 1), (2, 1)]);
        assert_eq!(path.walk().map(|node| node.id).collect::<Vec<_>>(), [1, 2, 1]);
    }

    #[test]
    fn a_step_to_nowhere_is_no_path() {
        let link = UnboundRelationship::default();
        for indices in [&[1, 2][..], &[2, 0], &[0, 0], &[1], &[i64::MIN, 0], &[1, -1]] {
            assert_eq!(Path::new(vec![node(1)], vec![link.clone()], indices), None, "{indices:?}");
        }
        assert_eq!(Path::new(vec![], vec![], &[]), None);
    }
}
