import ByteIO
import Conversion
import FormatKit
import JSON
import ModelIR
import TestSupport
import Testing

@testable import Architectures

/// Wrong name tables are noticed: each cell of each table is made wrong in turn, and some fixture must then fail.
@Suite struct TransformerKillTests {
    static let types = Set(TransformerFixture.models.map(\.architecture)).sorted()

    @Test(arguments: types) func everyWrongCellIsNoticed(type: String) throws {
        var models: [(fixture: TransformerFixture, model: TransformerModel, graph: Graph)] = []
        for fixture in TransformerFixture.models where fixture.architecture == type {
            let model = try fixture.model()
            // What can't be run has no table.
            if model.family != nil { models.append((fixture, model, try model.graph())) }
        }
        var alive: [Mutation: Int] = [:]
        var killed: Set<Mutation> = []
        for (fixture, model, graph) in models {
            guard let family = model.family else { continue }
            for mutation in Mutation.all(family.table, model.convention) where !killed.contains(mutation) {
                let mutant = Mutant(
                    base: family, table: mutation.applied(to: family.table, model.convention))
                if try isNoticed(mutant, mutation, fixture, model, graph) {
                    killed.insert(mutation)
                    alive[mutation] = nil
                } else {
                    alive[mutation, default: 0] += 1
                }
            }
        }
        #expect(killed.count > 20)
        let survivors = Set(
            alive.keys.map(\.description).filter {
                !isOfSharedRule($0, type: type, killed: Set(killed.map(\.description)))
            })
        let inert = Self.inert[type] ?? []
        #expect(
            survivors.subtracting(inert).sorted() == [],
            "these cells of the name table may be wrong unnoticed")
        #expect(inert.subtracting(survivors).sorted() == [], "these are noticed by now")
    }

    /// Cells that no fixture can show to be wrong, since what they hold makes no difference.
    private static let inert: [String: Set<String>] = [
        // The bias of transformers 4: one tensor under two names, of which one is used.
        "reformer": [
            "pytorch: lm_head.bias <-> lm_head.decoder.bias",
            "pytorch: lm_head.decoder.bias <-> lm_head.bias",
        ],
        // A bias of two names: files of version 4 hold the one, of version 5 the other or both.
        "bert": [
            "pytorch: cls.predictions.bias without cls.predictions.decoder.bias",
            "pytorch: cls.predictions.decoder.bias without cls.predictions.bias",
        ],
        // Equal in what transformers makes of PyTorch's; `theBiasThatTensorFlowAddsIsTaken` has them differ.
        "albert": [
            "pytorch: predictions.bias <-> predictions.decoder.bias",
            "pytorch: predictions.decoder.bias <-> predictions.bias",
            "tensorflow: predictions.bias <-> predictions.decoder.bias",
            "tensorflow: predictions.decoder.bias <-> predictions.bias",
        ],
        // One row: its transposition is a reshape.
        "gpt2": ["tensorflow: multiple_choice_head.summary.weight transposed"],
        // Keras' own leaf for the table; files have the other one, which is noticed.
        "t5": ["tensorflow: shared.weight without shared/weight"],
    ]

    /// Whether a cell is of a rule that all tables share, and that others of its cells prove.
    private func isOfSharedRule(_ mutation: String, type: String, killed: Set<String>) -> Bool {
        // `layerNorm` gives gamma and beta to all tables; BERT's oldest files hold them.
        if type != "bert" && (mutation.hasSuffix(".gamma") || mutation.hasSuffix(".beta")) {
            return true
        }
        // `embedding` knows both leaves that Keras' layers and transformers' own give a table; a file has one of them, which is noticed.
        guard mutation.contains("_embeddings.weight without") else { return false }
        for (leaf, other) in [("/weight", "/embeddings"), ("/embeddings", "/weight")]
        where mutation.hasSuffix(leaf) {
            return killed.contains(mutation.dropLast(leaf.count) + other)
        }
        return false
    }

    /// TensorFlow's ALBERT adds the decoder's bias and leaves its other one, which no training moves, at zero.
    @Test func theBiasThatTensorFlowAddsIsTaken() throws {
        let fixture = try #require(
            TransformerFixture.models.first { $0.path.contains("albert_masked_lm/tf4") })
        var checkpoint = try ModelFile.open(fixture.absolutePath).checkpoint
        let bias = try #require(
            checkpoint.tensors.firstIndex {
                $0.name.hasSuffix("predictions/bias:0") || $0.name.hasSuffix("predictions/bias")
            })
        checkpoint.tensors[bias].tensor = Tensor(
            [Float](repeating: 0, count: checkpoint.tensors[bias].tensor.count),
            shape: checkpoint.tensors[bias].tensor.shape)
        let model = try #require(try HuggingFaceArchitecture.lift(checkpoint) as? TransformerModel)
        #expect(
            try fixture.differences(of: model, parameters: model.parameters, graph: model.graph()).isEmpty
        )
    }

    private func isNoticed(
        _ mutant: Mutant, _ mutation: Mutation, _ fixture: TransformerFixture,
        _ model: TransformerModel, _ graph: Graph
    ) throws -> Bool {
        guard let binding = try? TransformerBinding(mutant, model.store) else { return true }
        var parameters = binding.parameters
        if mutation.kind == .transposed, model.convention == .pytorch {
            for i in parameters.indices
            where mutation.matches(parameters[i].name, base: mutant.table.base) {
                parameters[i].tensor = try Layout.transposedMatrix.apply(parameters[i].tensor)
            }
        }
        let usual = try TransformerBinding(
            Mutant(base: mutant.base, table: try #require(model.family).table), model.store)
        if binding.unused != usual.unused { return true }
        return try !fixture.differences(of: model, parameters: parameters, graph: graph).isEmpty
    }
}

/// One way to make one row of a name table wrong, in all layers at once.
private struct Mutation: Hashable, CustomStringConvertible {
    enum Kind: Hashable {
        /// The names of this row and of the next one of its shape exchanged.
        case swapped(with: String)
        case transposed
        /// One of several names gone.
        case withoutName(String)
    }

    /// With `{n}` for numbers.
    var row: String
    var kind: Kind
    var convention: TransformerNaming

    var description: String {
        switch kind {
        case .swapped(let other): "\(convention): \(row) <-> \(other)"
        case .transposed: "\(convention): \(row) transposed"
        case .withoutName(let name): "\(convention): \(row) without \(name)"
        }
    }

    static func pattern(_ name: String) -> String {
        name.split(separator: ".").map { $0.allSatisfy(\.isNumber) ? "{n}" : String($0) }.joined(
            separator: ".")
    }

    private static func pathPattern(_ path: String) -> String {
        path.replacing(/_\._[0-9]+/, with: "_._{n}")
    }

    func matches(_ name: String, base: String) -> Bool {
        let pattern = Self.pattern(name)
        return pattern == row || pattern == "\(base).\(row)"
    }

    static func all(_ table: TransformerTable, _ convention: TransformerNaming) -> [Mutation] {
        var result: [Mutation] = []
        var seen: Set<String> = []
        for (i, row) in table.rows.enumerated() {
            let pattern = pattern(row.name)
            guard seen.insert(pattern).inserted, convention == .pytorch || row.tensorFlow != nil else {
                continue
            }
            if let partner = partner(of: i, in: table, convention) {
                result.append(
                    Mutation(
                        row: pattern, kind: .swapped(with: Self.pattern(table.rows[partner].name)),
                        convention: convention))
            }
            if row.shape.count == 2, row.shape[0] == row.shape[1] || convention == .tensorflow {
                result.append(Mutation(row: pattern, kind: .transposed, convention: convention))
            }
            let names =
                convention == .pytorch ? [row.name] + row.legacyNames : row.tensorFlow?.paths ?? []
            for name in names {
                let name = convention == .pytorch ? Self.pattern(name) : pathPattern(name)
                result.append(Mutation(row: pattern, kind: .withoutName(name), convention: convention))
            }
        }
        return result
    }

    /// The next row of the same shape and kind, or the one before.
    private static func partner(
        of i: Int, in table: TransformerTable, _ convention: TransformerNaming
    ) -> Int? {
        func fits(_ j: Int) -> Bool {
            table.rows[j].shape == table.rows[i].shape && table.rows[j].isBase == table.rows[i].isBase
                && pattern(table.rows[j].name) != pattern(table.rows[i].name)
                && (convention == .pytorch
                    || table.rows[j].tensorFlow?.layout == table.rows[i].tensorFlow?.layout)
        }
        return (i + 1..<max(table.rows.count, i + 1)).first(where: fits) ?? (0..<i).last(where: fits)
    }

    func applied(to table: TransformerTable, _ convention: TransformerNaming) -> TransformerTable {
        var rows = table.rows
        for i in rows.indices where Self.pattern(rows[i].name) == row {
            switch kind {
            case .swapped:
                guard let j = Self.partner(of: i, in: table, convention) else { continue }
                (rows[i], rows[j]) = (
                    renamed(table.rows[i], like: table.rows[j]), renamed(table.rows[j], like: table.rows[i])
                )
            case .transposed:
                guard convention == .tensorflow else { continue }
                let layout = rows[i].tensorFlow?.layout
                rows[i].tensorFlow?.layout = layout == .same ? .transposedMatrix : .same
            case .withoutName(let name):
                if convention == .tensorflow {
                    rows[i].tensorFlow?.paths.removeAll { Self.pathPattern($0) == name }
                } else {
                    let isName = Self.pattern(rows[i].name) == name
                    if isName { rows[i].pytorchName = "-" }
                    rows[i].legacyNames.removeAll { Self.pattern($0) == name }
                }
            }
        }
        var result = TransformerTable(base: table.base)
        for row in rows { result.add(row) }
        return result
    }

    private func renamed(_ row: TransformerParameter, like other: TransformerParameter)
        -> TransformerParameter
    {
        var result = row
        if convention == .tensorflow {
            result.tensorFlow = other.tensorFlow
        } else {
            result.pytorchName = other.name
            result.legacyNames = other.legacyNames
        }
        return result
    }
}

/// A family with another name table.
private struct Mutant: TransformerFamily {
    static let modelTypes: [String] = []
    static let classNames: [String] = []
    static let modelledKeys: Set<String> = []
    static func isBuffer(_ name: String) -> Bool { false }

    let base: any TransformerFamily
    let table: TransformerTable

    init(base: any TransformerFamily, table: TransformerTable) {
        self.base = base
        self.table = table
    }

    init(_ config: TransformerConfig, className: String, stored: StoredNames) throws {
        throw UnsupportedError("a mutant is made of another family")
    }

    var isBaseClass: Bool { base.isBaseClass }
    var ties: [Checkpoint.Tie] { base.ties }
    var inputs: [InputDescription] { base.inputs }
    func build(_ builder: inout TransformerBuilder) throws { try base.build(&builder) }
}
