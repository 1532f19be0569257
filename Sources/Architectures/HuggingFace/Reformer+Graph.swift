import ByteIO
import ModelIR

extension Reformer {
    // MARK: - Lengths

    /// Lengths of the chunks of the layers that there are.
    private var chunkLengths: [Int] {
        (layers.contains(.local) ? [local.length] : []) + (layers.contains(.lsh) ? [lsh.length] : [])
    }

    /// Sequences longer than this are padded to a multiple of `multiple`.
    private var shortest: Int { chunkLengths.min() ?? 1 }

    /// The least common multiple of the chunks' lengths, both at most 2^31.
    private var multiple: Int {
        chunkLengths.reduce(1) { product, length in
            var (a, b) = (product, length)
            while b != 0 { (a, b) = (b, a % b) }
            return product / a * length
        }
    }

    private func paddedLength(_ length: Int) -> Int {
        length <= shortest ? length : (length + multiple - 1) / multiple * multiple
    }

    /// The same of a length that isn't known yet.
    private func paddedLength(_ length: Dim) -> Dim {
        // 1 for what is longer than the shortest chunk, else 0.
        let isLonger = (length - shortest).atLeast(0).ceilDivided(by: 1 << 32)
        return length + isLonger * (length.ceilDivided(by: multiple) * .fixed(multiple) + length * .fixed(-1))
    }

    private var longest: Int { min(positionCount, axes.map { $0.counts[0] * $0.counts[1] } ?? positionCount) }

    // MARK: - Inputs

    var inputs: [InputDescription] {
        [
            InputDescription("input_ids", .tokens(vocabulary: vocabularySize, padding: padding)),
            InputDescription("attention_mask", .mask(of: "input_ids"), isOptional: true),
            InputDescription("position_ids", .positions(count: longest), isOptional: true),
        ]
    }

    /// Some chunks, and no multiple of them.
    var probeSizes: [String: Int] {
        let room = longest / multiple * multiple
        return ["sequence": room > 0 ? min(2 * multiple + multiple / 2 + 1, room) : min(shortest, longest)]
    }

    func completed(_ inputs: [String: Tensor]) throws -> (inputs: [String: Tensor], notes: [String]) {
        let filled = try filled(inputs) { _, shape in try Tensor.positions(shape) }
        guard let length = filled["input_ids"]?.shape.last else { return (filled, []) }
        let padded = paddedLength(length)
        guard padded <= longest else {
            throw InputError(
                "input_ids has \(length) tokens, \(padded) with what fills the last chunk; the model has positions for \(longest)")
        }
        guard padded != length else { return (filled, []) }
        guard inputs["position_ids"] == nil else {
            throw InputError(
                "position_ids can't be given for \(length) tokens: they are padded to \(padded), a multiple of the chunks, and so are theirs")
        }
        return (filled, ["\(length) tokens are padded to \(padded), a multiple of the chunks, and the outputs cut back"])
    }

    // MARK: - Computation

    func build(_ b: inout TransformerBuilder) throws {
        let tokens = try b.input("input_ids")
        let mask = try b.input("attention_mask")
        let positions = try b.input("position_ids")
        let keyMask = try b.mask(padded(&b, mask))
        let embeddings = try embed(&b, tokens, positions)

        // Two streams, each of which the other one's layers add to (Gomez et al. 2017).
        var (attended, hidden) = (embeddings, embeddings)
        for (layer, kind) in layers.enumerated() {
            let prefix = "encoder.layers.\(layer)"
            let (oldAttended, oldHidden) = (attended, hidden)
            attended = try b.layer("\(prefix).attention", kind == .lsh ? "LSH self-attention" : "local self-attention") { b in
                let x = try b.layerNorm(oldHidden, "\(prefix).attention.layer_norm", epsilon: epsilon)
                let context = try attention(&b, x, "\(prefix).attention.self_attention", kind, keyMask)
                return try b.add(oldAttended, b.linear(context, "\(prefix).attention.output.dense"))
            }
            let newAttended = attended
            hidden = try b.layer("\(prefix).feed_forward", "feed-forward") { b in
                let x = try b.layerNorm(newAttended, "\(prefix).feed_forward.layer_norm", epsilon: epsilon)
                let inner = try b.activation(b.linear(x, "\(prefix).feed_forward.dense.dense"), activation)
                return try b.add(oldHidden, b.linear(inner, "\(prefix).feed_forward.output.dense"))
            }
        }
        let (left, right) = (attended, hidden)
        let x = try b.layer("encoder.layer_norm", "normalisation") { b in
            let both = try b.graph.append(.concat(axis: 2), [left, right])
            return try first(&b, b.layerNorm(both, "encoder.layer_norm", epsilon: epsilon), .symbol("sequence"))
        }
        try addOutputs(&b, x)
    }

    /// - Parameter x: [batch, sequence, 2 * hidden].
    private func addOutputs(_ b: inout TransformerBuilder, _ x: ValueID) throws {
        switch head {
        case .model: b.output("last_hidden_state", x)
        case .languageModel, .maskedLM:
            let logits = try b.layer("lm_head", "language model head") { b in
                try b.linear(x, weight: "lm_head.decoder.weight", bias: hasDecoderBias ? "lm_head.decoder.bias" : nil)
            }
            b.output("logits", logits)
        case .sequence:
            let logits = try b.layer("classifier", "classifier") { b in
                let inner = try b.activation(b.linear(b.index(x, axis: 1, at: 0), "classifier.dense"), .tanh)
                return try b.linear(inner, "classifier.out_proj")
            }
            b.output("logits", logits)
        case .question:
            let logits = try b.layer("qa_outputs", "classifier") { b in try b.linear(x, "qa_outputs") }
            b.output("start_logits", try b.index(logits, axis: 2, at: 0))
            b.output("end_logits", try b.index(logits, axis: 2, at: 1))
        }
    }

    /// The first `count` of the second axis.
    private func first(_ b: inout TransformerBuilder, _ x: ValueID, _ count: Dim) throws -> ValueID {
        guard multiple > 1 else { return x }
        let places = try b.graph.append(.iota(ValueType(.i64, [count]), axis: 0), [])
        return try b.graph.append(.gather(axis: 1), [x, places])
    }

    /// Integers [batch, sequence] with zeros up to the padded length.
    private func padded(_ b: inout TransformerBuilder, _ x: ValueID) throws -> ValueID {
        guard multiple > 1 else { return x }
        let longer = try b.graph.append(.pad([PadWidth(0, 0), PadWidth(0, multiple - 1)], value: 0), [x])
        return try first(&b, longer, paddedLength(.symbol("sequence")))
    }

    /// Embeddings of tokens and positions, [batch, padded, hidden].
    private func embed(_ b: inout TransformerBuilder, _ tokens: ValueID, _ positions: ValueID) throws -> ValueID {
        try b.layer("embeddings", "embeddings") { b in
            var words = try b.embedding(tokens, "embeddings.word_embeddings")
            if multiple > 1 {
                let row = try b.embedding(b.graph.scalar(Double(padding), .i64), "embeddings.word_embeddings")
                let shape: Shape = [.symbol("batch"), .fixed(multiple - 1), .fixed(hiddenSize)]
                let rows = try b.graph.append(.broadcast(shape), [row])
                words = try first(&b, b.graph.append(.concat(axis: 1), [words, rows]), paddedLength(.symbol("sequence")))
            }
            // What is given differs from 0, 1, 2, ... by nothing where it is padded.
            func count(_ b: inout TransformerBuilder, _ length: Dim) throws -> ValueID {
                try b.graph.append(.iota(ValueType(.i64, [length]), axis: 0), [])
            }
            let offset = try b.graph.binary(.subtract, positions, count(&b, .symbol("sequence")))
            let length = multiple > 1 ? paddedLength(.symbol("sequence")) : .symbol("sequence")
            let place = try b.graph.binary(.add, padded(&b, offset), count(&b, length))
            return try b.add(words, positionEmbedding(&b, place))
        }
    }

    /// - Parameter position: integers [batch, padded].
    private func positionEmbedding(_ b: inout TransformerBuilder, _ position: ValueID) throws -> ValueID {
        guard let axes else { return try b.embedding(position, "embeddings.position_embeddings.embedding") }
        let columns = try b.graph.scalar(Double(axes.counts[1]), .i64)
        var parts: [ValueID] = []
        for axis in 0..<2 {
            let index = try b.graph.binary(axis == 0 ? .divide : .remainder, position, columns)
            let weight = try b.parameter("embeddings.position_embeddings.weights.\(axis)")
            let rows = try b.graph.append(.reshape([.fixed(axes.counts[axis]), .fixed(axes.sizes[axis])]), [weight])
            parts.append(try b.graph.append(.gather(axis: 0), [rows, index]))
        }
        return try b.graph.append(.concat(axis: 2), parts)
    }

    /// [batch, padded, heads * size].
    private func attention(
        _ b: inout TransformerBuilder, _ x: ValueID, _ prefix: String, _ kind: LayerKind, _ mask: ValueID
    ) throws -> ValueID {
        let value = try b.linear(x, "\(prefix).value")
        switch kind {
        case .local:
            let pattern = AttentionPattern.blockLocal(block: local.length, before: local.before, after: local.after, causal: isCausal)
            return try b.attention(
                b.linear(x, "\(prefix).query"), b.linear(x, "\(prefix).key"), value, heads: headCount, pattern: pattern,
                scale: 1 / Double(headSize).squareRoot(), keyMask: mask)
        case .lsh:
            let attention = LSHAttention(
                chunk: lsh.length, before: lsh.before, after: lsh.after, hashes: hashCount, buckets: buckets, longest: positionCount,
                seed: seed ?? Self.usualSeed, isCausal: isCausal)
            let vectors = try b.splitHeads(b.linear(x, "\(prefix).query_key"), headCount)
            return try b.joinHeads(
                b.graph.append(.composite(.lshAttention(attention)), [vectors, b.splitHeads(value, headCount), mask]))
        }
    }
}
