import ByteIO
import ModelIR

/// A plan with its parameters, ready to run any number of times.
///
/// One thread at a time: a run writes the executor's own buffers.
public final class Executor {
    public let plan: Plan
    private let parameters: any ParameterSource
    private let program: FastProgram?

    /// The fast backend loads and packs parameters here; the reference backend reads each when a run needs it.
    /// - Throws: what the source says of a missing parameter, `GraphError` for one of another shape.
    public init(plan: Plan, parameters: any ParameterSource) throws {
        self.plan = plan
        self.parameters = parameters
        for parameter in plan.graph.parameters {
            _ = try parameters.tensor(parameter.name, type: plan.program.types[parameter.value.index])
        }
        program = try plan.layout.map { try FastProgram(plan, $0, parameters) }
    }

    /// One forward pass.
    /// - Parameter inputs: a tensor for each of the graph's inputs, of the planned shape. Integers and floats convert to the graph's dtype
    ///   where nothing is lost.
    /// - Throws: `InputError` for inputs that don't fit and for indices out of range.
    public func run(inputs: [String: Tensor], capturing capture: Capture = .nothing) throws -> ExecutionResult {
        try run(inputs, capture, isLast: false)
    }

    private func run(_ inputs: [String: Tensor], _ capture: Capture, isLast: Bool) throws -> ExecutionResult {
        try plan.check(inputs)
        let wanted: [NamedValue] =
            switch capture {
            case .nothing: []
            case .layerOutputs: plan.graph.layerOutputs
            case .values(let values): values
            }
        let indices = Set(wanted.map(\.value.index))
        for index in indices where index < 0 || index >= plan.graph.types.count { throw GraphError("the graph has no value %\(index)") }
        let (outputs, captured) = try program?.run(inputs, wanted: indices, isLast: isLast) ?? runReference(inputs, wanted: indices)
        return ExecutionResult(
            outputs: zip(plan.graph.outputs, outputs).map { NamedTensor($0.name, $1) },
            captured: wanted.compactMap { value in captured[value.value.index].map { NamedTensor(value.name, $0) } })
    }

    private func runReference(_ inputs: [String: Tensor], wanted: Set<Int>) throws -> ([Tensor], [Int: Tensor]) {
        var captured: [Int: Tensor] = [:]
        let load = { [parameters] (name: String, type: ConcreteType) in
            try ReferenceArray(type, parameters.tensor(name, type: type))
        }
        let outputs = try Reference.run(plan.program, inputs: plan.converted(inputs), load: load) { index, value in
            if wanted.contains(index) { captured[index] = value.capturedTensor() }
        }
        for parameter in plan.graph.parameters where wanted.contains(parameter.value.index) {
            captured[parameter.value.index] = try load(parameter.name, plan.program.types[parameter.value.index]).capturedTensor()
        }
        return (outputs.map { $0.outputTensor() }, captured)
    }

    /// Plans and runs once.
    public static func run(
        _ graph: Graph, parameters: any ParameterSource, inputs: [String: Tensor], options: ExecutionOptions = ExecutionOptions(),
        capturing capture: Capture = .nothing
    ) throws -> ExecutionResult {
        let plan = try Planner.plan(graph, inputShapes: inputs.mapValues(\.shape), options: options)
        return try Executor(plan: plan, parameters: parameters).run(inputs, capture, isLast: true)
    }
}
