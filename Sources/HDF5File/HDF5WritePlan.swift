import ByteIO
import FormatKit
import ModelIR

/// What will be written, checked as a whole beforehand, so that every obstacle is named at once and before a file is touched.
struct HDF5WritePlan {
    /// Parents before children; also those that the checkpoint does not list.
    var groups: [Checkpoint.Group] = []
    /// Each tensor once, under the first of its names.
    var datasets: [Checkpoint.Entry] = []
    /// Further names of datasets.
    var links: [(name: String, target: String)] = []

    /// Attributes up to here always fit into an object header message of 64 KiB; from there on it depends on what surrounds the value.
    private static let headerByteCount = 60_000
    /// HDF5's own limit.
    private static let maximumRank = 32

    /// Groups that will be there, and those of them that the checkpoint lists.
    private var groupPaths: Set<String> = []
    private var listedPaths: Set<String> = []
    private var obstacles: [String] = []
    /// Whether some attribute does not fit into an object header of 64 KiB, so that the file needs the structures of HDF5 1.8.
    private(set) var hasLargeAttributes = false

    /// - Throws: `UnsupportedError` with everything that HDF5 can't hold.
    init(_ checkpoint: Checkpoint) throws {
        guard checkpoint.opaque.isEmpty else {
            throw UnsupportedError(
                "HDF5 is written from tensors, groups and attributes only", items: checkpoint.opaque.map { "\($0.name): \($0.description)" }
            )
        }
        addGroup("", attributes: checkpoint.attributes)
        for group in checkpoint.groups.dropFirst() { addGroup(group.path, attributes: group.attributes) }
        addTensors(checkpoint)
        for group in groups { checkAttributes(group.attributes, path: "/" + group.path) }
        for entry in datasets { checkAttributes(entry.attributes, path: "/" + entry.name) }
        guard obstacles.isEmpty else { throw UnsupportedError("HDF5 can't hold these", items: obstacles) }
    }

    private mutating func addGroup(_ path: String, attributes: [Attribute]) {
        guard path.isEmpty || isPath(path) else { return obstacles.append("group name \(path)") }
        guard listedPaths.insert(path).inserted else { return obstacles.append("two groups \(path)") }
        addParents(of: path)
        if groupPaths.insert(path).inserted {
            groups.append(.init(path: path, attributes: attributes))
        } else if let number = groups.firstIndex(where: { $0.path == path }) {
            // A child came first and brought its parent along.
            groups[number].attributes = attributes
        }
    }

    private mutating func addParents(of path: String) {
        for slash in path.indices where path[slash] == "/" {
            let parent = String(path[..<slash])
            if groupPaths.insert(parent).inserted { groups.append(.init(path: parent)) }
        }
    }

    private mutating func addTensors(_ checkpoint: Checkpoint) {
        var entries: [String: Checkpoint.Entry] = [:]
        for entry in checkpoint.tensors where entries.updateValue(entry, forKey: entry.name) != nil {
            obstacles.append("two tensors \(entry.name)")
        }
        var firstNames: [String: String] = [:]
        for tie in checkpoint.ties {
            let names = tie.names.filter { entries[$0] != nil && firstNames[$0] == nil }
            guard let first = names.first, let tensor = entries[first]?.tensor else { continue }
            for name in names {
                firstNames[name] = first
                guard let other = entries[name]?.tensor, other.dtype == tensor.dtype, other.shape == tensor.shape else {
                    obstacles.append("the tie of \(first) and \(name), which differ in dtype or shape")
                    continue
                }
            }
        }
        for entry in checkpoint.tensors {
            let name = entry.name
            guard isPath(name) else {
                obstacles.append("tensor name \(name)")
                continue
            }
            addParents(of: name)
            if let first = firstNames[name], first != name {
                links.append((name, first))
                continue
            }
            if entry.tensor.shape.count > Self.maximumRank { obstacles.append("\(name) of \(entry.tensor.shape.count) dimensions") }
            var copy = entry
            copy.attributes = writtenAttributes(entry)
            datasets.append(copy)
        }
        for name in entries.keys.sorted() where isPath(name) && groupPaths.contains(name) {
            obstacles.append("\(name), both a tensor and a group")
        }
    }

    /// A tensor's attributes with `dtype` true of what is written: there for opaque bytes, gone where a conversion left a stale one.
    private func writtenAttributes(_ entry: Checkpoint.Entry) -> [Attribute] {
        let tag = entry.tensor.dtype.opaqueTag
        var attributes = entry.attributes.filter { attribute in
            guard attribute.name == "dtype", let text = attribute.value.text else { return true }
            return text == tag || tag == nil && DType(opaqueTag: text) == nil
        }
        if let tag, attributes["dtype"]?.text != tag {
            attributes.removeAll { $0.name == "dtype" }
            attributes.append(Attribute("dtype", .text(tag)))
        }
        return attributes
    }

    /// Components that libhdf5 takes as they are: it would drop empty ones and dots, and end at a zero.
    private func isPath(_ path: String) -> Bool {
        !path.utf8.contains(0)
            && path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { !$0.isEmpty && $0 != "." }
    }

    private mutating func checkAttributes(_ attributes: [Attribute], path: String) {
        var names: Set<String> = []
        for attribute in attributes {
            let shown = "attribute \(attribute.name) of \(path)"
            if !names.insert(attribute.name).inserted { obstacles.append("two of \(shown)") }
            if attribute.name.isEmpty || attribute.name.utf8.contains(0) { obstacles.append("the name of \(shown)") }
            if let problem = attribute.value.problem { obstacles.append("\(shown): \(problem)") }
            if attribute.value.headerByteCount > Self.headerByteCount { hasLargeAttributes = true }
        }
    }
}

extension AttributeValue {
    /// What keeps the value from being written, in words; nil if nothing does.
    fileprivate var problem: String? {
        guard let shape else { return nil }
        guard shape.count <= 32, shape.allSatisfy({ $0 >= 0 }), let count = checkedProduct(shape.map { UInt64($0) }, 1) else {
            return "shape \(shape)"
        }
        switch self {
        case .null: return nil
        case .numbers(let numbers):
            let (byteCount, overflow) = count.multipliedReportingOverflow(by: numbers.dtype.size)
            return overflow || byteCount != numbers.bytes.count ? "\(numbers.bytes.count) bytes for \(numbers.dtype) \(shape)" : nil
        case .strings(let strings):
            guard strings.values.count == count else { return "\(strings.values.count) strings for shape \(shape)" }
            guard case .fixed(let byteCount, _) = strings.storage else {
                return strings.values.contains { $0.contains(0) } ? "a zero byte inside a string of variable length" : nil
            }
            guard byteCount > 0 else { return "strings of no bytes" }
            return strings.values.contains { $0.count > byteCount } ? "a string of more than \(byteCount) bytes" : nil
        }
    }
}
