import ByteIO
import JSON
import ModelIR

extension KerasContainerLift {
    /// The arguments of a call with their values: states apart from inputs, an explicit mask laid over the one that travels along.
    /// - Parameters:
    ///   - masks: what the operations compute that Keras 3 wrote down for the mask.
    ///   - isSame: whether two values are made the same way.
    /// - Throws: `UnsupportedError` for arguments that the layer doesn't understand.
    func arguments(
        _ call: KerasCall, of instance: KerasInstance, _ values: [KerasTensorReference: KerasTensor],
        _ masks: [KerasTensorReference: KerasTensor], isSame: (ValueID, ValueID) -> Bool = { $0 == $1 }
    ) throws -> KerasLayerCall {
        let title = "layer '\(instance.spec.name)' (\(instance.spec.className))"
        func value(_ reference: KerasTensorReference) throws -> KerasTensor {
            guard let tensor = values[reference] else {
                throw kerasError(
                    "bad-config", expected: "output \(reference.tensor) of call \(reference.node) of layer '\(reference.layer)'",
                    found: "nothing, for layer '\(instance.spec.name)'")
            }
            return tensor
        }
        var result = KerasLayerCall(try call.inputs.compactMap(\.reference).map(value))
        if instance.spec.isOperation {
            result.operands = try call.arguments.map { try $0.map(value) }
            for keyword in call.keywords { result.keywords[keyword.name] = try keyword.value.map(value) }
            return result
        }
        guard call.inputs.allSatisfy({ $0.reference != nil }) else {
            throw UnsupportedError("\(title) is called with constants; not supported")
        }
        let known = instance.layer?.keywords ?? []
        var unknown: [String] = []
        for keyword in call.keywords {
            if keyword.value.flattened.isEmpty || keyword.value.constant?.array?.allSatisfy(\.isNull) == true { continue }
            switch keyword.name {
            case "training": continue
            case "initial_state" where instance.layer is any StatefulKerasLayer:
                result.initialState = try keyword.value.references.map { try value($0).value }
            case "mask":
                if call.hasAutomaticMask {
                    // What is written is what Keras 3 computes with; mostly it is what travels along.
                    let written = keyword.value.map { masks[$0] }
                    if case .tensor(let mask?) = written, let input = result.inputs.first {
                        if input.mask.map({ !isSame($0, mask.value) }) ?? true { result.inputs[0].mask = mask.value }
                        continue
                    }
                    guard result.inputs.contains(where: { $0.mask != nil }) else {
                        throw UnsupportedError("\(title) gets an explicit mask, of another layer's input; not supported")
                    }
                } else {
                    try lay(keyword.value.map(value), over: &result, title)
                }
            default:
                if known.contains(keyword.name) {
                    result.keywords[keyword.name] = try keyword.value.map(value)
                } else if keyword.value != .constant(.bool(false)) {
                    unknown.append(keyword.name)
                }
            }
        }
        guard unknown.isEmpty else {
            throw UnsupportedError("\(title) is called with " + unknown.sorted().joined(separator: ", ") + "; not supported")
        }
        // Keras 2 passes initial states as further inputs.
        if instance.layer is any StatefulKerasLayer, result.inputs.count > 1 {
            result.initialState = result.inputs.dropFirst().map(\.value)
            result.inputs = [result.inputs[0]]
        }
        // Keras 3 looks for a mask by itself only where one argument has tensors.
        result.computesWithoutMask =
            instance.layer is any StatefulKerasLayer && call.isKeras3 && !result.initialState.isEmpty
            && !call.keywords.contains { $0.name == "mask" && !$0.value.flattened.isEmpty }
        return result
    }

    /// Masks that the user passed: one, or a list with one for each input.
    private func lay(_ mask: KerasOperand, over call: inout KerasLayerCall, _ title: String) throws {
        switch mask {
        case .tensor(let tensor) where !call.inputs.isEmpty: call.inputs[0].mask = tensor.value
        case .list(let masks) where masks.count <= call.inputs.count:
            for (i, mask) in masks.enumerated() {
                switch mask {
                case .tensor(let tensor): call.inputs[i].mask = tensor.value
                case .constant(let value) where value.isNull: call.inputs[i].mask = nil
                case .constant, .list: throw UnsupportedError("\(title) gets a constant as its mask; not supported")
                }
            }
        case .tensor, .list, .constant: throw UnsupportedError("\(title) gets a constant as its mask; not supported")
        }
    }
}

/// A layer that takes `initial_state`.
protocol StatefulKerasLayer: KerasLayer {}
