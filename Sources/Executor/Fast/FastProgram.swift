import ByteIO
import ModelIR

/// A plan made runnable: parameters in place, constants computed, weights packed, one kernel per node.
final class FastProgram {
    private struct Step {
        let kernel: Kernel
        /// Values that it brings about, reshapes included.
        let outputs: [Int]
        /// Whether it is to run this time; nil: always.
        let condition: (() -> Bool)?
    }

    private let plan: Plan
    private let team: ThreadTeam
    private let engine: MatmulEngine
    private let arena: Allocation
    private let outputs = OutputPool()
    private var steps: [Step] = []
    /// Inputs, and everything that steps compute; constants only where they are outputs of the model or of a layer.
    private var views: [Int: BufferView] = [:]

    init(_ plan: Plan, _ layout: FastLayout, _ parameters: any ParameterSource) throws {
        self.plan = plan
        team = ThreadTeam(count: plan.options.threadCount)
        team.adopt()
        engine = try MatmulEngine()
        arena = Allocation(byteCount: layout.arenaBytes)
        let scratch = Allocation(byteCount: layout.scratchBytes)
        let (graph, types) = (layout.graph, layout.graph.types)

        var all = [BufferView?](repeating: nil, count: types.count)
        let passing = Self.passing(graph, plan)
        for parameter in graph.parameters {
            let type = types[parameter.value]
            all[parameter.value] = try Self.load(
                parameters.tensor(parameter.name, type: type), type, isPassing: passing.contains(parameter.value))
        }
        for (value, type) in types.enumerated() where layout.roots[value] == value && all[value] == nil {
            if layout.isConstant[value] {
                all[value] = BufferView(allocating: type, isConstant: true)
            } else if layout.handedOut.contains(value) {
                let slot = OutputSlot(outputs, byteCount: type.count * MemoryLayout<Float>.size)
                all[value] = BufferView(pointer: slot.pointer, type: type, isConstant: false, owner: slot)
            } else if let offset = layout.offsets[value] {
                all[value] = BufferView(pointer: arena.pointer + offset, type: type, isConstant: false, owner: arena)
            }
        }
        func view(_ value: Int) throws -> BufferView {
            guard let root = all[layout.roots[value]] else { throw GraphError("value %\(value) has no place") }
            return root.viewed(as: types[value])
        }
        for node in graph.nodes {
            let isView = layout.roots[node.outputs[0]] != node.outputs[0]
            let isConstant = layout.isConstant[node.outputs[0]]
            let request = KernelRequest(
                node: node, inputs: try node.inputs.map(view), outputs: try node.outputs.map(view), team: team, engine: engine,
                scratch: scratch, options: plan.options)
            let isInPieces =
                MatmulKernels.rowsOfPieces(
                    node, request.inputs.map(\.type), isConstant: request.inputs.count > 1 && request.inputs[1].isConstant, plan.options)
                != nil
            let filled = request.inputs.enumerated().compactMap { $0 == 1 && isInPieces ? nil : $1.owner as? PassingParameter }
            if isConstant {
                if !isView { try PassingParameter.filling(filled, makeKernel(request))() }
            } else {
                let condition = try node.onlyForMany.map { tokens in
                    let (counts, isGlobal) = (try view(tokens.counts), try view(tokens.isGlobal))
                    return { LongformerRun.largestGlobalCount(counts, isGlobal) > tokens.few }
                }
                let kernel = isView ? {} : try PassingParameter.filling(filled, Self.releasing(request, makeKernel(request)))
                steps.append(Step(kernel: kernel, outputs: node.outputs, condition: condition))
                for (output, view) in zip(node.outputs, request.outputs) { views[output] = view }
            }
        }
        engine.forgetSources()
        let named = plan.graph.outputs + (plan.options.keepsLayerOutputs ? plan.graph.layerOutputs : [])
        for value in graph.inputs + graph.outputs + named.map(\.value.index) { views[value] = try view(value) }
    }

    /// A look-up in a single pass that gives the mapped table back: the system reads many pages around each row.
    private static func releasing(_ request: KernelRequest, _ kernel: @escaping Kernel) -> Kernel {
        guard case .gather = request.node.op, !request.options.isRepeated, request.inputs[0].isConstant else { return kernel }
        let table = request.inputs[0]
        return {
            try kernel()
            table.releaseMapping()
        }
    }

    /// Parameters that only matmuls and look-ups want, whose kernels read them in the pass, not before. Plans that run again keep them packed.
    private static func passing(_ graph: ConcreteGraph, _ plan: Plan) -> Set<Int> {
        guard !plan.options.isRepeated, plan.options.precision == .f32 else { return [] }
        var result = Set(graph.parameters.map(\.value))
        for node in graph.nodes where node.op != .matmul {
            if case .gather = node.op { result.subtract(node.inputs.dropFirst()) } else { result.subtract(node.inputs) }
        }
        return result.subtracting(graph.outputs + plan.graph.layerOutputs.map(\.value.index))
    }

    /// A parameter's elements: in the file's mapping where they lie there as f32, else in memory of their own.
    private static func load(_ tensor: Tensor, _ type: ConcreteType, isPassing: Bool) throws -> BufferView {
        if type.dtype.isFloat, tensor.dtype == .f32, let region = tensor.storage.region, region.store.fileDescriptor != nil {
            let mapped = region.withBytes { $0.baseAddress }
            if let mapped, Int(bitPattern: mapped) % 4 == 0 {
                return BufferView(pointer: UnsafeMutableRawPointer(mutating: mapped), type: type, isConstant: true, owner: region.store)
            }
        }
        if isPassing, let parameter = PassingParameter(tensor, type) {
            return BufferView(pointer: parameter.pointer, type: type, isConstant: true, owner: parameter)
        }
        let view = BufferView(allocating: type, isConstant: true)
        if type.dtype.isFloat {
            try tensor.readFloats(into: UnsafeMutableRawBufferPointer(start: view.pointer, count: view.byteCount))
        } else {
            view.store(try ReferenceArray(type, tensor))
        }
        return view
    }

    /// One forward pass; `wanted` values are copied out as they come to be, the model's outputs at the end, once: logits are large.
    /// - Parameter isLast: no other run follows, so that an output which fills most of the arena needn't be copied out of it.
    func run(
        _ inputs: [String: Tensor], wanted: Set<Int>, isLast: Bool = false
    ) throws -> (outputs: [Tensor], captured: [Int: Tensor]) {
        // Per calling thread, and another thread may be calling now.
        team.adopt()
        var captured: [Int: Tensor] = [:]
        let results = plan.graph.outputs.map(\.value.index)
        let passing = wanted.filter { !results.contains($0) || views[$0]?.kind != .float }
        for input in plan.graph.inputs {
            guard let tensor = inputs[input.name], let view = views[input.value.index] else { continue }
            try view.store(input: tensor, name: input.name, team)
            if passing.contains(input.value.index) { captured[input.value.index] = view.capturedTensor() }
        }
        for step in steps {
            if step.condition?() ?? true { try step.kernel() }
            guard !passing.isEmpty else { continue }
            for value in step.outputs where passing.contains(value) { captured[value] = views[value]?.current.capturedTensor() }
        }
        for value in passing where captured[value] == nil {
            guard let view = views[value] else {
                throw UnsupportedError("value %\(value) isn't kept by the fast backend: it is fused, or follows from parameters alone")
            }
            captured[value] = view.current.capturedTensor()
        }
        let tensors = results.compactMap { value in
            views[value].map { view in
                let isKept = isLast && view.owner === arena && 2 * view.byteCount > arena.byteCount
                return isKept ? OutputPool.kept(view) : outputs.tensor(view, team)
            }
        }
        for (value, tensor) in zip(results, tensors) where wanted.contains(value) && captured[value] == nil { captured[value] = tensor }
        return (tensors, captured)
    }
}
