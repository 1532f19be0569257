import JSON

/// CuDNNLSTM and CuDNNGRU as the plain layers that compute the same: LSTM with sigmoid gates, GRU that resets after the product.
enum CuDNNConfiguration {
    private static let classes: [String: (className: String, config: JSONObject)] = [
        "CuDNNLSTM": ("LSTM", ["activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": true]),
        "CuDNNGRU": ("GRU", ["activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": true, "reset_after": true]),
    ]

    /// The plain layer's class and configuration; nil for other classes.
    static func plain(_ className: String, _ config: JSONObject) -> (className: String, config: JSONObject)? {
        guard let replacement = classes[className] else { return nil }
        var config = config
        for member in replacement.config.members { config[member.key] = member.value }
        return (replacement.className, config)
    }

    /// A document with every such layer replaced, wherever it stands.
    static func plain(_ document: JSONValue, depth: Int = 0) -> JSONValue {
        guard depth < 256 else { return document }
        switch document {
        case .array(let elements): return .array(elements.map { plain($0, depth: depth + 1) })
        case .object(var object):
            for member in object.members where !member.value.isScalar { object[member.key] = plain(member.value, depth: depth + 1) }
            guard let name = object["class_name"]?.string, let config = object["config"]?.object, let layer = plain(name, config) else {
                return .object(object)
            }
            object["class_name"] = .string(layer.className)
            object["config"] = .object(layer.config)
            // Keras 2 wrote where the class came from in some versions.
            if object["registered_name"]?.string == name { object["registered_name"] = .null }
            return .object(object)
        case .null, .bool, .number, .string: return document
        }
    }

    /// The layers that `plain` replaces.
    static func layers(in document: JSONValue, depth: Int = 0) -> [(name: String, className: String, plain: String)] {
        guard depth < 256 else { return [] }
        switch document {
        case .array(let elements): return elements.flatMap { layers(in: $0, depth: depth + 1) }
        case .object(let object):
            if let className = object["class_name"]?.string, let replacement = classes[className] {
                return [(object["config"]?["name"]?.string ?? className, className, replacement.className)]
            }
            return object.members.flatMap { layers(in: $0.value, depth: depth + 1) }
        case .null, .bool, .number, .string: return []
        }
    }
}

extension JSONValue {
    fileprivate var isScalar: Bool {
        switch self {
        case .array, .object: false
        case .null, .bool, .number, .string: true
        }
    }
}
