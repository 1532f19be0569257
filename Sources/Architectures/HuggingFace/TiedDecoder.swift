import FormatKit
import JSON
import ModelIR

/// The linear layer back to the vocabulary, whose weight is the word embeddings' unless a file holds another one.
struct TiedDecoder: Sendable {
    /// `cls.predictions.decoder`
    let module: String
    /// The bias' other name, where it has one: `cls.predictions.bias`.
    let bias: String?
    let isTied: Bool
    /// Whether both names of the bias are one parameter.
    let isBiasTied: Bool
    private let statesTie: Bool

    /// - Parameter tensorFlowBias: path of a bias that TensorFlow keeps beside `bias`.
    init(_ config: TransformerConfig, _ module: String, bias: String?, stored: StoredNames, tensorFlowBias: String? = nil) throws {
        self.module = module
        self.bias = bias
        statesTie = try config.bool("tie_word_embeddings", default: true)
        // TensorFlow's classes have no other decoder than the embeddings.
        isTied =
            stored.isTensorFlow
            || statesTie && !stored.areSeparate(["\(module).weight"], ["embeddings.word_embeddings.weight"])
        let other = ["\(module).bias", tensorFlowBias].compactMap { $0 }
        let own = [bias, bias?.replacing(".", with: "/")].compactMap { $0 }
        isBiasTied = isTied && !stored.areSeparate(other, own)
    }

    func add(to table: inout TransformerTable, _ inputSize: Int, _ outputSize: Int, tensorFlowBias: String? = nil) {
        let other = "\(module).bias"
        let cell = tensorFlowBias.map { TransformerParameter.TensorFlowCell(paths: [$0], layout: .same) }
        if let bias {
            var row = table.parameter(bias, [outputSize], tensorFlow: "bias", .same)
            if !isBiasTied { row.legacyNames = [other] }
            table.add(row)
        }
        if !isTied { table.add(TransformerParameter(name: "\(module).weight", shape: [outputSize, inputSize], isBase: false)) }
        if let bias {
            guard !isBiasTied else {
                if let cell {
                    table.add(TransformerParameter(name: other, shape: [outputSize], isBase: false, tensorFlow: cell))
                }
                return
            }
            // Files of version 4 hold one of the two.
            table.add(
                TransformerParameter(name: other, shape: [outputSize], isBase: false, legacyNames: [bias], tensorFlow: cell))
        } else {
            table.add(table.parameter(other, [outputSize], tensorFlow: "bias", .same))
        }
    }

    /// - Parameter embeddings: canonical name of the word embeddings.
    func ties(embeddings: String) -> [Checkpoint.Tie] {
        (isTied ? [Checkpoint.Tie(names: [embeddings, "\(module).weight"])] : [])
            + (isBiasTied ? bias.map { [Checkpoint.Tie(names: [$0, "\(module).bias"])] } ?? [] : [])
    }

    func apply(_ b: inout TransformerBuilder, _ x: ValueID) throws -> ValueID {
        try b.linear(
            x, weight: isTied ? "embeddings.word_embeddings.weight" : "\(module).weight",
            bias: (isBiasTied ? bias : nil) ?? "\(module).bias")
    }

    var configurationChanges: [(key: String, value: JSONValue?)] {
        isTied == statesTie ? [] : [("tie_word_embeddings", .bool(isTied))]
    }
}
