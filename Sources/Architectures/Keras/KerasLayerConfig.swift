import ByteIO
import JSON
import ModelIR

/// Typed access to one layer's configuration, with the defaults of its Keras generation.
struct KerasLayerConfig: Sendable {
    let spec: KerasLayerSpec
    let version: KerasVersion

    var name: String { spec.name }
    var generation: Int { version.generation }

    func error(_ key: String, expected: String) -> FormatError {
        kerasError(
            "bad-config", expected: "\(key) of layer '\(name)' as \(expected)", found: spec.config[key]?.serializedPrefix ?? "nothing")
    }

    private func value(_ key: String) -> JSONValue? { spec.config[key].flatMap { $0.isNull ? nil : $0 } }

    func bool(_ key: String, default fallback: Bool) throws(FormatError) -> Bool {
        guard let value = value(key) else { return fallback }
        // Python's True, or 1 where somebody wrote a number.
        guard let bool = value.bool ?? value.int.flatMap({ $0 == 0 || $0 == 1 ? $0 == 1 : nil }) else {
            throw error(key, expected: "a boolean")
        }
        return bool
    }

    func int(_ key: String) throws(FormatError) -> Int {
        guard let int = value(key)?.int, abs(int) < 1 << 40 else { throw error(key, expected: "an integer") }
        return int
    }

    func int(_ key: String, default fallback: Int) throws(FormatError) -> Int { value(key) == nil ? fallback : try int(key) }

    func double(_ key: String, default fallback: Double) throws(FormatError) -> Double {
        guard let value = value(key) else { return fallback }
        // Old writers serialised NumPy scalars as {"class_name": "__numpy__"..} or {"type": "ndarray", "value": ..}.
        guard let double = value.double ?? value["value"]?.double, !double.isNaN else { throw error(key, expected: "a number") }
        return double
    }

    func optionalDouble(_ key: String) throws(FormatError) -> Double? { value(key) == nil ? nil : try double(key, default: 0) }

    func string(_ key: String, default fallback: String) throws(FormatError) -> String {
        guard let value = value(key) else { return fallback }
        guard let string = value.string else { throw error(key, expected: "a string") }
        return string
    }

    /// One or several integers: `3`, `[3]`, `[3, 2]`.
    func ints(_ key: String) throws(FormatError) -> [Int] {
        if let one = value(key)?.int { return [one] }
        guard let list = value(key)?.array else { throw error(key, expected: "integers") }
        var result: [Int] = []
        for element in list {
            guard let int = element.int, abs(int) < 1 << 40 else { throw error(key, expected: "integers") }
            result.append(int)
        }
        return result
    }

    /// The one integer of a 1-D layer's `kernel_size` and the like, or `fallback`.
    func single(_ key: String, default fallback: Int) throws(FormatError) -> Int {
        guard value(key) != nil else { return fallback }
        let list = try ints(key)
        guard list.count == 1, list[0] > 0 else { throw error(key, expected: "one positive integer") }
        return list[0]
    }

    /// A size that the layer must have: a positive integer, however it is spelled. Keras 1 called units output_dim.
    func size(_ key: String) throws(FormatError) -> Int? {
        guard let value = value(key) else {
            if spec.config[key] != nil { throw error(key, expected: "a positive integer") }
            return nil
        }
        guard let size = value.int, size > 0, size < 1 << 40 else { throw error(key, expected: "a positive integer") }
        return size
    }

    func has(_ key: String) -> Bool { value(key) != nil }

    /// An axis list made non-negative and sorted, for inputs of `rank`.
    func axes(_ key: String, default fallback: Int, rank: Int) throws(FormatError) -> [Int] {
        let list = has(key) ? try ints(key) : [fallback]
        var axes = Set<Int>()
        for axis in list {
            guard axis >= -rank, axis < rank, axis != 0 || rank == 1 || axis == 0 else {
                throw error(key, expected: "axes of an input of rank \(rank)")
            }
            axes.insert(axis < 0 ? axis + rank : axis)
        }
        return axes.sorted()
    }

    func axis(_ key: String, default fallback: Int, rank: Int) throws(FormatError) -> Int {
        let axes = try axes(key, default: fallback, rank: rank)
        guard axes.count == 1 else { throw error(key, expected: "one axis") }
        return axes[0]
    }

    func padding(_ key: String = "padding") throws(FormatError) -> Padding {
        let text = try string(key, default: "valid")
        guard let padding = Padding(rawValue: text.lowercased()) else { throw error(key, expected: "valid, same or causal") }
        return padding
    }

    func requireChannelsLast() throws {
        let format = try string("data_format", default: "channels_last")
        guard format == "channels_last" else {
            throw UnsupportedError("layer '\(name)' (\(spec.className)) has data_format \(format); only channels_last is supported")
        }
    }
}
