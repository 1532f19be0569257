import ByteIO
import ModelIR

/// Where a layer of one or two spatial dimensions has its channels; ops of the graph have them last.
struct ChannelLayout: Sendable {
    let isFirst: Bool

    init(_ config: KerasLayerConfig) throws {
        let format = try config.string("data_format", default: "channels_last")
        guard format == "channels_last" || format == "channels_first" else {
            throw config.error("data_format", expected: "channels_last or channels_first")
        }
        isFirst = format == "channels_first"
    }

    /// The spatial axes of an input of `rank`.
    func spatialAxes(rank: Int) -> Range<Int> { isFirst ? 2..<rank : 1..<rank - 1 }

    /// [batch, channels, spatial..] to [batch, spatial.., channels].
    func toLast(_ x: ValueID, in builder: inout KerasBuilder) throws -> ValueID {
        let rank = builder.graph.type(of: x).shape.rank
        guard isFirst, rank > 2 else { return x }
        return try builder.graph.append(.transpose([0] + Array(2..<rank) + [1]), [x])
    }

    /// [batch, spatial.., channels] to [batch, channels, spatial..].
    func fromLast(_ x: ValueID, in builder: inout KerasBuilder) throws -> ValueID {
        let rank = builder.graph.type(of: x).shape.rank
        guard isFirst, rank > 2 else { return x }
        return try builder.graph.append(.transpose([0, rank - 1] + Array(1..<rank - 1)), [x])
    }
}

extension KerasLayerConfig {
    /// Number of spatial dimensions, from the class' name: Conv2D has 2.
    var spatialRank: Int { spec.className.contains("2D") ? 2 : 1 }

    /// Positive integers, one per spatial dimension: `3`, `[3]`, `[3, 2]`.
    func sizes(_ key: String, default fallback: [Int]) throws(FormatError) -> [Int] {
        guard has(key) else { return fallback }
        let list = try ints(key)
        let sizes = list.count == 1 ? Array(repeating: list[0], count: spatialRank) : list
        guard sizes.count == spatialRank, sizes.allSatisfy({ $0 > 0 && $0 < 1 << 31 }) else {
            throw error(key, expected: spatialRank == 1 ? "one positive integer" : "\(spatialRank) positive integers")
        }
        return sizes
    }

    /// Counts before and after each spatial dimension: `1`, `[1, 2]` (of the one dimension, or one for both sides of each), `[[1, 2], [0, 3]]`.
    func margins(_ key: String, default fallback: Int) throws(FormatError) -> [PadWidth] {
        func valid(_ value: Int?) throws(FormatError) -> Int {
            guard let value, value >= 0, value < 1 << 31 else { throw error(key, expected: "counts for each side") }
            return value
        }
        guard let value = spec.config[key], !value.isNull else {
            return Array(repeating: PadWidth(fallback, fallback), count: spatialRank)
        }
        if value.int != nil {
            let n = try valid(value.int)
            return Array(repeating: PadWidth(n, n), count: spatialRank)
        }
        let elements = value.array ?? []
        if spatialRank == 1, elements.count == 1 { return [PadWidth(try valid(elements[0].int), try valid(elements[0].int))] }
        guard elements.count == 2 else { throw error(key, expected: "counts for each side") }
        if spatialRank == 1 { return [PadWidth(try valid(elements[0].int), try valid(elements[1].int))] }
        var widths: [PadWidth] = []
        for element in elements {
            if let sides = element.array, sides.count == 2 {
                widths.append(PadWidth(try valid(sides[0].int), try valid(sides[1].int)))
            } else {
                widths.append(PadWidth(try valid(element.int), try valid(element.int)))
            }
        }
        return widths
    }
}
