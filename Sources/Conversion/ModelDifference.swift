import Architectures
import ByteIO
import Digests
import FormatKit
import JSON
import ModelIR

/// What differs between two models, whatever their formats: names, transpositions and dtypes are told from values.
public struct ModelDifference: Sendable {
    /// What became of one tensor.
    public enum Outcome: Hashable, Sendable {
        case equal
        /// The same values under another name; of matrices perhaps transposed.
        case renamed(from: String, isTransposed: Bool)
        /// The same name, the values transposed.
        case transposed
        /// Equal once the wider side is rounded to the dtype of the narrower.
        case rounded(from: DType, to: DType)
        /// Other values.
        case values(maximum: Double, differing: Int, count: Int)
        case shape([Int], [Int])
        case dtype(DType, DType)
        case onlyInFirst
        case onlyInSecond
    }

    public struct Row: Hashable, Sendable {
        public var name: String
        public var outcome: Outcome
    }

    /// In the order of the first model, then what only the second has.
    public private(set) var rows: [Row] = []
    /// Whether tensors were matched by canonical names; else by the names in the files.
    public private(set) var isCanonical = false
    /// nil where the two compute the same from the same parameters, or neither says what it computes.
    public private(set) var graphDifference: String?
    /// Keys of the configurations with different values, for people.
    public private(set) var configuration: [String] = []
    public private(set) var fingerprints: (first: String, second: String) = ("", "")

    /// Bit for bit the same parameters, and the same function of them.
    public var isSame: Bool {
        graphDifference == nil
            && rows.allSatisfy {
                switch $0.outcome {
                case .equal, .renamed, .transposed: true
                case .rounded, .values, .shape, .dtype, .onlyInFirst, .onlyInSecond: false
                }
            }
    }

    /// Reads all parameters of both.
    public init(_ a: ModelFile, _ b: ModelFile) throws {
        fingerprints = (try a.fingerprint(), try b.fingerprint())
        if let first = a.model, let second = b.model, first.architecture == second.architecture {
            isCanonical = true
            try compareTensors(
                first.parameters.map { ($0.name, $0.tensor) }, second.parameters.map { ($0.name, $0.tensor) })
            do {
                graphDifference = try first.graph().firstDifference(from: second.graph())?.description
            } catch is UnsupportedError {
                // Neither can be run, or one: the parameters are what there is to compare.
            }
        } else {
            try compareTensors(a.checkpoint.tensors.map { ($0.name, $0.tensor) }, b.checkpoint.tensors.map { ($0.name, $0.tensor) })
        }
        compareConfigurations(a.checkpoint, b.checkpoint)
    }

    private mutating func compareTensors(_ a: [(name: String, tensor: Tensor)], _ b: [(name: String, tensor: Tensor)]) throws {
        let second = Dictionary(b.map { ($0.name, $0.tensor) }, uniquingKeysWith: { first, _ in first })
        let first = Set(a.map(\.name))
        // What has no counterpart by name may have one by content.
        var strangers = b.filter { !first.contains($0.name) }
        var digests: [[UInt8]: [Int]] = [:]
        if a.contains(where: { second[$0.name] == nil }) {
            for (position, entry) in strangers.enumerated() { digests[try contentDigest(entry.tensor), default: []].append(position) }
        }
        var taken: Set<Int> = []
        for (name, tensor) in a {
            if let other = second[name] {
                rows.append(Row(name: name, outcome: try outcome(tensor, other)))
                continue
            }
            var found: (position: Int, isTransposed: Bool)?
            if let position = digests[try contentDigest(tensor)]?.first(where: { !taken.contains($0) }) {
                found = (position, false)
            } else if tensor.shape.count == 2,
                let position = digests[try contentDigest(Layout.transposedMatrix.apply(tensor))]?.first(where: { !taken.contains($0) })
            {
                found = (position, true)
            }
            guard let found else {
                rows.append(Row(name: name, outcome: .onlyInFirst))
                continue
            }
            taken.insert(found.position)
            rows.append(Row(name: strangers[found.position].name, outcome: .renamed(from: name, isTransposed: found.isTransposed)))
        }
        strangers = strangers.enumerated().filter { !taken.contains($0.offset) }.map(\.element)
        rows += strangers.map { Row(name: $0.name, outcome: .onlyInSecond) }
    }

    private func outcome(_ a: Tensor, _ b: Tensor) throws -> Outcome {
        guard a.shape == b.shape else {
            if a.shape.count == 2, a.dtype == b.dtype, a.shape == b.shape.reversed(),
                try difference(Layout.transposedMatrix.apply(a), b) == nil
            {
                return .transposed
            }
            return .shape(a.shape, b.shape)
        }
        guard a.dtype == b.dtype else {
            guard a.dtype.isFloat, b.dtype.isFloat else { return .dtype(a.dtype, b.dtype) }
            // A rounding that loses nothing is one too: a narrow float widened.
            for (wide, narrow) in [(a, b), (b, a)] where try difference(wide.rounded(to: narrow.dtype), narrow) == nil {
                return .rounded(from: a.dtype, to: b.dtype)
            }
            return try valueOutcome(a, b)
        }
        if try difference(a, b) == nil { return .equal }
        if a.shape.count == 2, a.shape[0] == a.shape[1], try difference(Layout.transposedMatrix.apply(a), b) == nil { return .transposed }
        return try valueOutcome(a, b)
    }

    private func valueOutcome(_ a: Tensor, _ b: Tensor) throws -> Outcome {
        var maximum = 0.0
        var differing = 0
        let size = 1 << 18
        var position = 0
        while position < a.count {
            let count = min(size, a.count - position)
            let (x, y) = (try a.piece(from: position, count: count).doubles(), try b.piece(from: position, count: count).doubles())
            for (p, q) in zip(x, y) where p != q && !(p.isNaN && q.isNaN) {
                differing += 1
                let d = abs(p - q)
                maximum = max(maximum, d.isNaN ? .infinity : d)
            }
            position += count
        }
        return .values(maximum: maximum, differing: differing, count: a.count)
    }

    /// Keys of the two `config.json`, where both have one.
    private mutating func compareConfigurations(_ a: Checkpoint, _ b: Checkpoint) {
        guard let first = Self.configuration(of: a), let second = Self.configuration(of: b) else { return }
        for key in first.keys where second[key] != first[key] {
            configuration.append("\(key): \(Self.text(first[key])) and \(Self.text(second[key]))")
        }
        for key in second.keys where first[key] == nil { configuration.append("\(key): none and \(Self.text(second[key]))") }
    }

    private static func configuration(of checkpoint: Checkpoint) -> JSONObject? {
        let bytes = checkpoint.document("config.json")?.bytes ?? checkpoint.attributes["config.json"]?.text.map { Array($0.utf8) }
        return bytes.flatMap { (try? JSONValue.parse($0))?.object }
    }

    private static func text(_ value: JSONValue?) -> String {
        guard let value else { return "none" }
        let text = value.serialized(.compact)
        return text.count <= 60 ? text : text.prefix(57) + "..."
    }
}

/// SHA-256 over dtype, shape and bytes.
private func contentDigest(_ tensor: Tensor) throws -> [UInt8] {
    var digest = SHA256()
    digest.update(Array("\(tensor.dtype.rawValue)\(tensor.shape)".utf8))
    try tensor.forEachPiece { digest.update($0) }
    return digest.finish()
}

extension Tensor {
    /// Elements of the flat order, read now.
    fileprivate func piece(from start: Int, count: Int) throws -> Tensor {
        Tensor(
            dtype: dtype, shape: [count],
            bytes: try [UInt8](unsafeUninitializedCapacity: count * dtype.size) { buffer, n in
                n = count * dtype.size
                try storage.read(into: UnsafeMutableRawBufferPointer(buffer), at: start * dtype.size)
            })
    }
}

extension ModelDifference {
    /// The document of `ingot diff --json`, of a stable shape.
    public var json: JSONValue {
        [
            "same": .bool(isSame), "canonical": .bool(isCanonical),
            "fingerprints": [.string(fingerprints.first), .string(fingerprints.second)],
            "tensors": .array(
                rows.map { ["name": .string($0.name), "outcome": .string($0.outcome.name), "detail": .string($0.outcome.detail)] }),
            "graph_difference": graphDifference.map { .string($0) } ?? .null,
            "configuration": .array(configuration.map { .string($0) }),
        ]
    }
}

extension ModelDifference.Outcome {
    /// One word, for programs.
    public var name: String {
        switch self {
        case .equal: "equal"
        case .renamed: "renamed"
        case .transposed: "transposed"
        case .rounded: "rounded"
        case .values: "different"
        case .shape: "shape"
        case .dtype: "dtype"
        case .onlyInFirst: "only_in_first"
        case .onlyInSecond: "only_in_second"
        }
    }

    /// For people.
    public var detail: String {
        switch self {
        case .equal: "equal"
        case .renamed(let name, let isTransposed): "is \(name) of the first\(isTransposed ? ", transposed" : "")"
        case .transposed: "equal, transposed"
        case .rounded(let a, let b): "\(a.rawValue) and \(b.rawValue), equal but for rounding"
        case .values(let maximum, let differing, let count): "\(differing) of \(count) elements differ, by up to \(maximum)"
        case .shape(let a, let b): "shapes \(a) and \(b)"
        case .dtype(let a, let b): "\(a.rawValue) and \(b.rawValue)"
        case .onlyInFirst: "only in the first"
        case .onlyInSecond: "only in the second"
        }
    }
}
