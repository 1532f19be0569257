import ByteIO
import ModelIR

/// Turns a graph and the shapes of its inputs into a plan.
public enum Planner {
    /// - Parameter inputShapes: a shape for each of the graph's inputs, by name.
    /// - Throws: `InputError` for a missing or unknown input, a shape that doesn't fit, a symbol that would get two sizes, and sizes that a
    ///   layer can't take; `UnsupportedError` where the plan exceeds `options.maxMemory`.
    public static func plan(_ graph: Graph, inputShapes: [String: [Int]], options: ExecutionOptions = ExecutionOptions()) throws -> Plan {
        let dimensions = try bind(graph, inputShapes)
        let program: ConcreteGraph
        do {
            program = try ConcreteGraph(graph, bindings: dimensions)
        } catch {
            let shapes = graph.inputs.map { "\($0.name) \(inputShapes[$0.name] ?? [])" }.joined(separator: ", ")
            throw InputError("inputs don't fit the model: \(error) (inputs: \(shapes))")
        }
        var bufferBytes: Double
        var parameterBytes = 0.0
        switch options.backend {
        case .reference:
            bufferBytes = program.referencePeakBytes()
        case .fast:
            bufferBytes = program.referencePeakBytes()
            for parameter in program.parameters { parameterBytes += Double(program.types[parameter.value].count) * 4 }
        }
        guard bufferBytes + parameterBytes <= Double(options.maxMemory) else {
            throw UnsupportedError(
                "running this takes \(megabytes(bufferBytes)) of buffers and \(megabytes(parameterBytes)) of parameters, "
                    + "more than the memory limit of \(megabytes(Double(options.maxMemory)))")
        }
        return Plan(
            graph: graph, options: options, dimensions: dimensions, bufferBytes: UInt64(bufferBytes),
            parameterBytes: UInt64(parameterBytes),
            operations: UInt64(min(program.operations(), 0x1p63)), program: program)
    }

    private static func megabytes(_ bytes: Double) -> String {
        let tenths = (bytes / 1e5).rounded(.up)
        guard tenths < 1e15 else { return "\(tenths / 10) MB" }
        return "\(Int(tenths) / 10).\(Int(tenths) % 10) MB"
    }

    /// Sizes for the graph's symbols.
    private static func bind(_ graph: Graph, _ inputShapes: [String: [Int]]) throws -> [String: Int] {
        for name in inputShapes.keys.sorted() where !graph.inputs.contains(where: { $0.name == name }) {
            throw InputError("the model has no input '\(name)'; it takes \(graph.inputs.map { "'\($0.name)'" }.joined(separator: ", "))")
        }
        var sizes: [String: Int] = [:]
        var origins: [String: String] = [:]
        for input in graph.inputs {
            let expected = graph.type(of: input.value).shape
            guard let shape = inputShapes[input.name] else { throw InputError("input '\(input.name)' \(expected) is missing") }
            guard shape.count == expected.rank else {
                throw InputError("input '\(input.name)' has shape \(shape), expected \(expected)")
            }
            for (axis, (size, dim)) in zip(shape, expected.dims).enumerated() {
                guard size >= 0 else { throw InputError("input '\(input.name)' has a negative size in \(shape)") }
                guard case .symbol(let symbol) = dim else { continue }
                if let bound = sizes[symbol], bound != size {
                    throw InputError(
                        "input '\(input.name)' has \(size) for dimension \(axis) ('\(symbol)'), but \(origins[symbol] ?? "") gives it \(bound)"
                    )
                }
                sizes[symbol] = size
                origins[symbol] = origins[symbol] ?? "dimension \(axis) of '\(input.name)'"
            }
        }
        for input in graph.inputs {
            let (expected, shape) = (graph.type(of: input.value).shape, inputShapes[input.name] ?? [])
            for (axis, (size, dim)) in zip(shape, expected.dims).enumerated() {
                let wanted: Int
                do { wanted = try dim.evaluate(sizes) } catch { throw InputError("input '\(input.name)': \(error.message)") }
                guard wanted == size else {
                    throw InputError(
                        "input '\(input.name)' has \(size) for dimension \(axis), expected \(dim)"
                            + (dim.fixedValue == nil ? " = \(wanted)" : ""))
                }
            }
        }
        return sizes
    }
}
