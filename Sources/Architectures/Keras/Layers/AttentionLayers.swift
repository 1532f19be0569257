import ByteIO
import ModelIR

/// Attention and AdditiveAttention: query [batch, Tq, dim], value and key [batch, Tv, dim].
///
/// Scores are q k^T, or a sum over tanh(q + k); the value's mask takes keys out, and rows that the query's mask leaves out are zero.
struct AttentionLayer: KerasLayer {
    enum Score: Sendable { case dot, concat, additive }

    let config: KerasLayerConfig
    let score: Score
    let scales: Bool
    /// Older versions of Keras 2 said so in the constructor; a call may say it too.
    let isCausal: Bool

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        let isAdditive = config.spec.className == "AdditiveAttention"
        switch isAdditive ? "additive" : try config.string("score_mode", default: "dot") {
        case "additive": score = .additive
        case "dot": score = .dot
        case "concat": score = .concat
        default: throw config.error("score_mode", expected: "dot or concat")
        }
        scales = try config.bool("use_scale", default: isAdditive)
        isCausal = try config.bool("causal", default: false)
    }

    var variables: [KerasVariable] {
        (scales ? [KerasVariable("scale", shape: score == .additive ? [nil] : [])] : [])
            + (score == .concat ? [KerasVariable("concat_score_weight", shape: [])] : [])
    }

    var keywords: Set<String> { ["use_causal_mask", "return_attention_scores"] }

    func masks(usedBy call: KerasLayerCall) -> [ValueID?] { call.inputs.prefix(2).map(\.mask) }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        guard call.inputs.count == 2 || call.inputs.count == 3 else {
            throw kerasError(
                "bad-config", expected: "query, value and perhaps a key for layer '\(config.name)'", found: "\(call.inputs.count) inputs")
        }
        for input in call.inputs { _ = try builder.requireRank(3, of: input, config) }
        let (query, value) = (call.inputs[0], call.inputs[1])
        let q = try builder.float(query)
        let v = try builder.float(value)
        let k = call.inputs.count > 2 ? try builder.float(call.inputs[2]) : v
        let scores = try scores(q, k, in: &builder)
        let dims = builder.graph.type(of: scores).shape.dims
        var mask: ValueID?
        if let given = value.mask {
            mask = try builder.graph.append(.reshape([dims[0], 1, dims[2]]), [builder.asMask(given)])
        }
        if isCausal || call.flag("use_causal_mask") {
            let causal = try builder.causalMask(rows: dims[1], columns: dims[2])
            mask = try mask.map { try builder.graph.binary(.and, $0, causal) } ?? causal
        }
        let weights =
            try mask.map { try builder.maskedSoftmax(scores, axes: [2], mask: $0, zeroesEmptyRows: false) }
            ?? builder.softmax(scores, axes: [2])
        var output = try builder.graph.append(.matmul, [weights, v])
        if let given = query.mask {
            let kept = try builder.graph.append(.reshape([dims[0], dims[1], 1]), [builder.asMask(given)])
            output = try builder.graph.append(.select, [kept, output, builder.graph.scalar(0, builder.dtype)])
        }
        let result = KerasTensor(output, mask: query.mask)
        return call.flag("return_attention_scores") ? [result, KerasTensor(weights)] : [result]
    }

    private func scores(_ q: ValueID, _ k: ValueID, in builder: inout KerasBuilder) throws -> ValueID {
        if score == .dot {
            let scores = try builder.graph.append(.matmul, [q, builder.graph.append(.transpose([0, 2, 1]), [k])])
            return scales ? try builder.graph.binary(.multiply, scores, builder.parameter("scale")) : scores
        }
        let (rows, columns) = (builder.graph.type(of: q).shape.dims, builder.graph.type(of: k).shape.dims)
        var sum = try builder.graph.binary(
            .add, builder.graph.append(.reshape([rows[0], rows[1], 1, rows[2]]), [q]),
            builder.graph.append(.reshape([columns[0], 1, columns[1], columns[2]]), [k]))
        if score == .concat && scales { sum = try builder.graph.binary(.multiply, builder.parameter("scale"), sum) }
        var terms = try builder.graph.unary(.tanh, sum)
        if score == .additive && scales { terms = try builder.graph.binary(.multiply, builder.parameter("scale"), terms) }
        let scores = try builder.graph.append(.reduce(.sum, axes: [3], keepsDimensions: false), [terms])
        return score == .concat ? try builder.graph.binary(.multiply, builder.parameter("concat_score_weight"), scores) : scores
    }
}

extension KerasBuilder {
    /// bool [rows, columns]: true where the column isn't behind the row.
    mutating func causalMask(rows: Dim, columns: Dim) throws -> ValueID {
        let shape = ValueType(.i32, [rows, columns])
        let row = try graph.append(.iota(shape, axis: 0), [])
        return try graph.append(.compare(.greaterOrEqual), [row, graph.append(.iota(shape, axis: 1), [])])
    }
}
