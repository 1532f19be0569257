import ModelIR

/// A plan with its parameters, ready to run any number of times.
///
/// One thread at a time: a run writes the executor's own buffers.
public final class Executor {
    public let plan: Plan
    private let parameters: any ParameterSource

    /// - Throws: what the source says of a missing parameter, `GraphError` for one of another shape.
    public init(plan: Plan, parameters: any ParameterSource) throws {
        self.plan = plan
        self.parameters = parameters
        for parameter in plan.graph.parameters {
            _ = try parameters.tensor(parameter.name, type: plan.program.types[parameter.value.index])
        }
    }

    /// One forward pass.
    /// - Parameter inputs: a tensor for each of the graph's inputs, of the planned shape. Integers and floats convert to the graph's dtype where nothing is lost.
    /// - Throws: `InputError` for inputs that don't fit and for indices out of range.
    public func run(inputs: [String: Tensor], capturing capture: Capture = .nothing) throws -> ExecutionResult {
        let values = try plan.converted(inputs)
        let wanted: [NamedValue] =
            switch capture {
            case .nothing: []
            case .layerOutputs: plan.graph.layerOutputs
            case .values(let values): values
            }
        var captured: [Int: Tensor] = [:]
        for value in wanted { captured[value.value.index] = Tensor([Double](), shape: [0]) }
        let load = { [parameters] (name: String, type: ConcreteType) in
            try ReferenceArray(type, parameters.tensor(name, type: type))
        }
        let outputs = try Reference.run(plan.program, inputs: values, load: load) { index, value in
            if captured[index] != nil { captured[index] = value.capturedTensor() }
        }
        for parameter in plan.graph.parameters where captured[parameter.value.index] != nil {
            captured[parameter.value.index] = try load(parameter.name, plan.program.types[parameter.value.index]).capturedTensor()
        }
        return ExecutionResult(
            outputs: zip(plan.graph.outputs, outputs).map { NamedTensor($0.name, $1.outputTensor()) },
            captured: wanted.compactMap { value in captured[value.value.index].map { NamedTensor(value.name, $0) } })
    }

    /// Plans and runs once.
    public static func run(
        _ graph: Graph, parameters: any ParameterSource, inputs: [String: Tensor], options: ExecutionOptions = ExecutionOptions(),
        capturing capture: Capture = .nothing
    ) throws -> ExecutionResult {
        let plan = try Planner.plan(graph, inputShapes: inputs.mapValues(\.shape), options: options)
        return try Executor(plan: plan, parameters: parameters).run(inputs: inputs, capturing: capture)
    }
}
