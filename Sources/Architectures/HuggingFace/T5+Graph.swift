import ByteIO
import ModelIR

extension T5Core {
    func build(_ b: inout TransformerBuilder) throws {
        let ids = try b.input("input_ids")
        let mask = try b.mask(b.input("attention_mask"))
        guard head.hasDecoder else {
            let encoded = try stack(&b, "encoder", ids, mask)
            switch head {
            case .tokenClassification: b.output("logits", try b.linear(encoded, "classifier"))
            case .encoder, .languageModel, .model, .sequenceClassification, .questionAnswering: b.output("last_hidden_state", encoded)
            }
            return
        }
        // A classified sequence is found in the decoder by its place in the encoder: both have one length.
        let length: Dim = head == .sequenceClassification ? .symbol("sequence") : .symbol("decoder_sequence")
        let targets = try b.input("decoder_input_ids", [.symbol("batch"), length])
        let targetMask = try b.mask(b.input("decoder_attention_mask", [.symbol("batch"), length]))

        let encoded = try stack(&b, "encoder", ids, mask)
        let decoded = try stack(&b, "decoder", targets, targetMask, encoded: (encoded, mask))
        switch head {
        case .languageModel:
            let scaled = try b.multiply(decoded, by: scalesOutputs ? 1 / Double(width).squareRoot() : 1)
            b.output("logits", try b.linear(scaled, isHeadTied ? "shared" : "lm_head"))
        case .sequenceClassification:
            let last = try b.lastPosition(where: b.compare(ids, .equal, endToken))
            let sentence = try b.rows(of: decoded, at: last)
            let dense = try b.graph.activation(.tanh, b.linear(sentence, "classification_head.dense"))
            b.output("logits", try b.linear(dense, "classification_head.out_proj"))
        case .questionAnswering: try b.outputSpan(decoded, "qa_outputs")
        case .model, .encoder, .tokenClassification: b.output("last_hidden_state", decoded)
        }
        b.output("encoder_last_hidden_state", encoded)
    }

    /// Encoder or decoder: embeddings without positions, pre-norm blocks, a final norm.
    ///
    /// - Parameters:
    ///   - ids: i64 [batch, length]
    ///   - mask: bool [batch, length]
    ///   - encoded: for the decoder: hidden states [batch, sequence, width] and mask [batch, sequence] of the encoder.
    /// - Returns: [batch, length, width]
    private func stack(
        _ b: inout TransformerBuilder, _ name: String, _ ids: ValueID, _ mask: ValueID, encoded: (hidden: ValueID, mask: ValueID)? = nil
    ) throws -> ValueID {
        let length = b.shape(ids)[1]
        let buckets = encoded == nil ? encoderBuckets : decoderBuckets
        let pattern: AttentionPattern = encoded == nil ? .full : .causal
        var hidden = try b.layer("\(name).embed_tokens", "embeddings") { b in try b.embedding(ids, "shared") }
        var bias: ValueID?
        for layer in 0..<(encoded == nil ? encoderLayers : decoderLayers) {
            let block = "\(name).block.\(layer)"
            hidden = try b.layer(block, "block") { b in
                let own = "\(block).layer.0"
                let table = "\(own).SelfAttention.relative_attention_bias.weight"
                if b.has(table) {
                    let parameter = try b.parameter(table)
                    bias = try buckets.bias(&b, table: parameter, length: length)  // [heads, length, length]
                }
                var h = try attention(&b, own, "SelfAttention", hidden, keys: nil, mask, pattern, bias)
                if let encoded {
                    h = try attention(&b, "\(block).layer.1", "EncDecAttention", h, keys: encoded.hidden, encoded.mask, .full, nil)
                }
                return try feedForward(&b, "\(block).layer.\(encoded == nil ? 1 : 2)", h)
            }
        }
        let norm = "\(name).final_layer_norm"
        return try b.layer(norm, "RMS norm") { b in try b.rmsNorm(hidden, norm, epsilon: epsilon) }
    }

    /// h + o(attention(q(norm(h)), k(keys), v(keys))), scores not scaled.
    ///
    /// - Parameter keys: [batch, keys, width], nil for norm(h) itself.
    private func attention(
        _ b: inout TransformerBuilder, _ layer: String, _ name: String, _ hidden: ValueID, keys: ValueID?, _ mask: ValueID,
        _ pattern: AttentionPattern, _ bias: ValueID?
    ) throws -> ValueID {
        let normed = try b.rmsNorm(hidden, "\(layer).layer_norm", epsilon: epsilon)
        let source = keys ?? normed
        let context = try b.attention(
            b.linear(normed, "\(layer).\(name).q"), b.linear(source, "\(layer).\(name).k"), b.linear(source, "\(layer).\(name).v"),
            heads: heads, pattern: pattern, scale: 1, keyMask: mask, bias: bias)
        return try b.add(hidden, b.linear(context, "\(layer).\(name).o"))
    }

    /// h + wo(f(wi(norm(h)))), or wo(f(wi_0(..)) * wi_1(..)) with a gate.
    private func feedForward(_ b: inout TransformerBuilder, _ layer: String, _ hidden: ValueID) throws -> ValueID {
        let normed = try b.rmsNorm(hidden, "\(layer).layer_norm", epsilon: epsilon)
        let dense = "\(layer).DenseReluDense"
        var inner = try b.graph.activation(activation, b.linear(normed, "\(dense).\(isGated ? "wi_0" : "wi")"))
        if isGated { inner = try b.graph.binary(.multiply, inner, b.linear(normed, "\(dense).wi_1")) }
        return try b.add(hidden, b.linear(inner, "\(dense).wo"))
    }
}
