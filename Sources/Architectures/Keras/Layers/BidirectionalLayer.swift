import ByteIO
import JSON
import ModelIR

/// A recurrent layer forwards and another backwards, merged.
struct BidirectionalLayer: StatefulKerasLayer {
    let config: KerasLayerConfig
    let forward: RecurrentLayer
    let backward: RecurrentLayer
    /// nil: both outputs, unmerged.
    let mergeMode: String?

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        guard let layer = config.spec.config["layer"] else { throw config.error("layer", expected: "a layer") }
        func child(_ document: JSONValue, backwards: Bool?) throws -> RecurrentLayer {
            var spec = try KerasLayerSpec(parsing: document, depth: 0)
            guard !spec.isCustom, RecurrentLayer.classes.contains(spec.className) else {
                throw UnsupportedError("layer '\(config.name)' (Bidirectional) wraps \(spec.className), which isn't supported")
            }
            if let backwards { spec.config["go_backwards"] = .bool(backwards) }
            var layer = try RecurrentLayer(KerasLayerConfig(spec: spec, version: config.version))
            layer.zeroesMaskedOutput = layer.returnsSequences
            return layer
        }
        forward = try child(layer, backwards: nil)
        if let document = config.spec.config["backward_layer"], !document.isNull {
            backward = try child(document, backwards: nil)
        } else {
            // Keras 2 turns the copy round; Keras 3 always makes it walk backwards.
            backward = try child(layer, backwards: config.generation == 3 ? true : !forward.goesBackwards)
        }
        guard forward.goesBackwards != backward.goesBackwards else {
            throw kerasError("bad-config", expected: "opposite go_backwards in the two directions of '\(config.name)'")
        }
        guard forward.returnsSequences == backward.returnsSequences, forward.returnsState == backward.returnsState else {
            throw kerasError("bad-config", expected: "equal return_sequences and return_state in both directions of '\(config.name)'")
        }
        let mode = config.spec.config["merge_mode"]
        if let mode, !mode.isNull {
            guard let name = mode.string, ["concat", "sum", "mul", "ave"].contains(name) else {
                throw config.error("merge_mode", expected: "concat, sum, mul, ave or null")
            }
            mergeMode = name
        } else {
            mergeMode = mode == nil ? "concat" : nil
        }
    }

    var assumptions: [String] { forward.assumptions }

    var variables: [KerasVariable] {
        [("forward_layer", "forward", forward), ("backward_layer", "backward", backward)].flatMap { part, prefix, layer in
            layer.variables.map {
                KerasVariable(
                    "\(part)/\($0.role)", store: $0.store.isEmpty ? part : "\(part)/\($0.store)",
                    keras2: "\(prefix)_\(layer.config.name)/\($0.keras2)",
                    shape: $0.shape)
            }
        }
    }

    var seedGenerators: [String] {
        forward.seedGenerators.map { "forward_layer/\($0)" } + backward.seedGenerators.map { "backward_layer/\($0)" }
    }

    func masks(usedBy call: KerasLayerCall) -> [ValueID?] { forward.masks(usedBy: call) }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        var forwardCall = call
        var backwardCall = call
        let half = call.initialState.count / 2
        guard call.initialState.count % 2 == 0 else {
            throw kerasError("bad-config", expected: "as many initial states backwards as forwards for layer '\(config.name)'")
        }
        forwardCall.initialState = Array(call.initialState.prefix(half))
        backwardCall.initialState = Array(call.initialState.dropFirst(half))
        let ahead = try builder.within("forward_layer") { try forward.call(forwardCall, in: &$0) }
        let back = try builder.within("backward_layer") { try backward.call(backwardCall, in: &$0) }
        let a = ahead[0]
        var b = back[0]
        if forward.returnsSequences { b.value = try builder.graph.append(.reverse(axes: [forward.isTimeMajor ? 0 : 1]), [b.value]) }
        let states = Array(ahead.dropFirst() + back.dropFirst())
        guard let mergeMode else { return [a, KerasTensor(b.value, mask: a.mask)] + states }
        let merged: ValueID
        switch mergeMode {
        case "sum": merged = try builder.graph.binary(.add, a.value, b.value)
        case "mul": merged = try builder.graph.binary(.multiply, a.value, b.value)
        case "ave":
            merged = try builder.graph.binary(
                .divide, builder.graph.binary(.add, a.value, b.value), builder.graph.scalar(2, builder.dtype))
        default: merged = try builder.graph.append(.concat(axis: -1), [a.value, b.value])
        }
        return [KerasTensor(merged, mask: a.mask)] + states
    }
}
