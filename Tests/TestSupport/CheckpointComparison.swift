import FormatKit
import ModelIR

/// What differs between two checkpoints, one line each: tensors bit for bit, names, order, attributes with their kinds, documents, ties.
public func differences(_ a: Checkpoint, _ b: Checkpoint) throws -> [String] {
    var lines: [String] = []
    if a.groups.map(\.path) != b.groups.map(\.path) { lines.append("groups: \(a.groups.map(\.path)) and \(b.groups.map(\.path))") }
    for (x, y) in zip(a.groups, b.groups) where x != y {
        lines.append("attributes of the group '\(x.path)': \(x.attributes) and \(y.attributes)")
    }
    if a.tensors.map(\.name) != b.tensors.map(\.name) { lines.append("tensors: \(a.tensors.map(\.name)) and \(b.tensors.map(\.name))") }
    for (x, y) in zip(a.tensors, b.tensors) {
        if x.attributes != y.attributes { lines.append("attributes of \(x.name): \(x.attributes) and \(y.attributes)") }
        if x.tensor.dtype != y.tensor.dtype || x.tensor.shape != y.tensor.shape {
            lines.append("type of \(x.name)")
        } else if try x.tensor.bytes() != y.tensor.bytes() {
            lines.append("elements of \(x.name)")
        }
    }
    if a.ties != b.ties { lines.append("ties: \(a.ties) and \(b.ties)") }
    if a.documents != b.documents { lines.append("documents: \(a.documents.map(\.name)) and \(b.documents.map(\.name))") }
    return lines
}
