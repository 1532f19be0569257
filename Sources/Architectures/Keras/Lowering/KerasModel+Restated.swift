import FormatKit
import JSON

extension KerasModel {
    /// The checkpoint as it is, but for defaults that its configuration leaves to its Keras version: those are written down,
    /// since a later loader of the same generation would take its own (tf_keras takes `reset_after` true where Keras 2.0 to 2.2 meant false).
    ///
    /// Layers of cuDNN, which compute on a GPU alone, become the plain ones where the model can be rewritten.
    public func restated() -> Lowered {
        if !CuDNNConfiguration.layers(in: source.original).isEmpty, let lowered = try? lower(to: .keras2) { return lowered }
        var keys: [String] = []
        let document = stated(source.original, &keys)
        guard !keys.isEmpty, let position = checkpoint.attributes.firstIndex(where: { $0.name == "model_config" }),
            case .strings(var strings) = checkpoint.attributes[position].value
        else { return Lowered(checkpoint: checkpoint) }
        var copy = checkpoint
        strings.values = [Array(document.serialized(.python).utf8)]
        if case .fixed(_, let padding) = strings.storage {
            strings.storage = .fixed(byteCount: strings.values[0].count + 1, padding: padding)
        }
        copy.attributes[position].value = .strings(strings)
        return Lowered(checkpoint: copy, notes: keys.map { "stated in the configuration, since loaders differ: \($0)" })
    }

    /// The document with the defaults of recurrent layers filled in; nothing else changes.
    private func stated(_ value: JSONValue, _ keys: inout [String]) -> JSONValue {
        switch value {
        case .array(let elements): return .array(elements.map { stated($0, &keys) })
        case .object(var object):
            for member in object.members { object[member.key] = stated(member.value, &keys) }
            guard let className = object["class_name"]?.string, var config = object["config"]?.object,
                ["LSTM", "GRU", "LSTMCell", "GRUCell"].contains(className), config["units"] != nil
            else { return .object(object) }
            let name = config["name"]?.string ?? className
            if config["recurrent_activation"] == nil {
                config["recurrent_activation"] = version.gatesDefaultToHardSigmoid ? "hard_sigmoid" : "sigmoid"
                keys.append("recurrent_activation of '\(name)'")
            }
            if className.hasPrefix("GRU") && config["reset_after"] == nil {
                config["reset_after"] = .bool(version.generation == 3)
                keys.append("reset_after of '\(name)'")
            }
            object["config"] = .object(config)
            return .object(object)
        case .null, .bool, .number, .string: return value
        }
    }
}
