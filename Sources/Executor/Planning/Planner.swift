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
        var bufferBytes = program.referencePeakBytes()
        var parameterBytes = 0.0
        var layout: FastLayout?
        // Past this the fast backend's offsets might not fit an Int; the reference backend's total says enough.
        if options.backend == .fast && bufferBytes < 0x1p50 {
            let placed = FastLayout(
                program, kept: Set((graph.outputs + (options.keepsLayerOutputs ? graph.layerOutputs : [])).map(\.value.index)),
                options: options)
            (bufferBytes, parameterBytes) = (
                Double(placed.arenaBytes) + Double(placed.handedOutBytes) + Double(placed.scratchBytes), placed.constantBytes
            )
            layout = placed
        }
        guard bufferBytes + parameterBytes <= min(Double(options.maxMemory), 0x1p50) else {
            throw UnsupportedError(
                "running this takes \(megabytes(bufferBytes)) of buffers and \(megabytes(parameterBytes)) of parameters, "
                    + "more than the memory limit of \(megabytes(Double(options.maxMemory)))")
        }
        let operations = program.operations()
        guard operations <= options.maxOperations else {
            throw UnsupportedError(
                "running this takes \(operations.rounded()) operations, more than the limit of \(options.maxOperations.rounded())")
        }
        return Plan(
            graph: graph, options: options, dimensions: dimensions, bufferBytes: UInt64(bufferBytes),
            parameterBytes: UInt64(parameterBytes),
            operations: UInt64(min(operations, 0x1p63)), program: program, layout: layout)
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
