import ByteIO
import ModelIR

/// [batch, ..] -> [batch, product], channels innermost.
struct FlattenLayer: KerasLayer {
    let config: KerasLayerConfig
    let layout: ChannelLayout

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        layout = try ChannelLayout(config)
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let dims = builder.shape(of: input).dims
        let rest = Shape(Array(dims.dropFirst())).elementCount
        return [KerasTensor(try builder.graph.append(.reshape([dims[0], rest]), [layout.toLast(input.value, in: &builder)]))]
    }
}

/// [batch, ..] -> [batch] + target_shape, where one -1 takes what is left.
struct ReshapeLayer: KerasLayer {
    let config: KerasLayerConfig
    let target: [Int]

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        target = try config.ints("target_shape")
        guard target.allSatisfy({ $0 >= -1 }), target.count(where: { $0 == -1 }) <= 1 else {
            throw config.error("target_shape", expected: "sizes, at most one of them -1")
        }
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let dims = builder.shape(of: input).dims
        let known = target.filter { $0 != -1 }.reduce(1) { a, b in a.multipliedReportingOverflow(by: b).partialValue }
        let available = Shape(Array(dims.dropFirst())).elementCount
        if let count = available.fixedValue, target.contains(-1) ? known <= 0 || count % known != 0 : count != known {
            throw GraphError("can't reshape \(builder.shape(of: input)) to \(target)", origin: config.name)
        }
        let shape = Shape([dims[0]] + target.map { $0 == -1 ? available.floorDivided(by: max(known, 1)) : .fixed($0) })
        return [KerasTensor(try builder.graph.append(.reshape(shape), [input.value]))]
    }
}

/// Permutes the axes after the batch; `dims` counts from 1.
struct PermuteLayer: KerasLayer {
    let config: KerasLayerConfig
    let dims: [Int]

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        dims = try config.ints("dims")
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        [KerasTensor(try builder.graph.append(.transpose([0] + dims), [call.input(of: config).value]))]
    }
}

/// [batch, features] -> [batch, n, features].
struct RepeatVectorLayer: KerasLayer {
    let config: KerasLayerConfig
    let count: Int

    init(_ config: KerasLayerConfig) throws {
        self.config = config
        count = try config.int("n")
        guard count > 0 else { throw config.error("n", expected: "a positive integer") }
    }

    func call(_ call: KerasLayerCall, in builder: inout KerasBuilder) throws -> [KerasTensor] {
        let input = try call.input(of: config)
        let dims = builder.shape(of: input).dims
        guard dims.count == 2 else { throw GraphError("takes [batch, features], not \(builder.shape(of: input))", origin: config.name) }
        let row = try builder.graph.append(.reshape([dims[0], 1, dims[1]]), [input.value])
        return [KerasTensor(try builder.graph.append(.broadcast([dims[0], .fixed(count), dims[1]]), [row]))]
    }
}
