import ByteIO
import Glibc
import ModelIR
import Testing

@testable import Executor

@Suite struct ExecutorTests {
    @Test(arguments: Backend.allCases)
    func convertsInputsWhereNothingIsLost(_ backend: Backend) throws {
        let options = ExecutionOptions(backend: backend, threadCount: 1)
        func run(_ declared: DType, _ tensor: Tensor) throws -> Tensor {
            var graph = Graph(name: "identity")
            let x = try graph.addInput("x", ValueType(declared, Shape(fixed: tensor.shape)))
            graph.outputs = [NamedValue("y", try graph.append(.reshape(Shape(fixed: tensor.shape)), [x]))]
            return try Executor.run(graph, parameters: [String: Tensor](), inputs: ["x": tensor], options: options).outputs[0].tensor
        }
        let ids = try run(.i32, Tensor([3.0, -1] as [Float], shape: [2]))
        #expect(ids.dtype == .i32)
        #expect(try ids.doubles() == [3, -1])
        #expect(try run(.f32, integers([2], [3, -1])).doubles() == [3, -1])
        #expect(try run(.bool, integers([2], [1, 0])).dtype == .bool)
        #expect(try run(.bf16, real([1], [0.1])).dtype == .f32)
        #expect(try run(.f64, real([1], [0.1])).dtype == (backend == .reference ? .f64 : .f32))
        let fraction = #expect(throws: InputError.self) { try run(.i64, real([2], [3, 3.5])) }
        #expect(fraction?.message == "input 'x' is i64 and can't hold 3.5 exactly")
        #expect(throws: InputError.self) { try run(.u8, integers([1], [256])) }
        #expect(throws: InputError.self) { try run(.bool, integers([1], [2])) }
        #expect(throws: InputError.self) { try run(.i64, real([1], [.nan])) }
        #expect(throws: InputError.self) { try run(.i64, Tensor(dtype: .u64, shape: [1], bytes: [UInt8](repeating: 255, count: 8))) }
    }

    @Test(arguments: Backend.allCases)
    func checksParametersAndInputs(_ backend: Backend) throws {
        let graph = try PlannerTests.twoInputs()
        let options = ExecutionOptions(backend: backend, threadCount: 1)
        let plan = try Planner.plan(graph, inputShapes: ["a": [1, 2, 4], "b": [1, 2, 4]], options: options)
        #expect(throws: GraphError.self) { try Executor(plan: plan, parameters: [String: Tensor]()) }
        #expect(throws: GraphError.self) { try Executor(plan: plan, parameters: ["w": real([3, 4], [Double](repeating: 0, count: 12))]) }
        #expect(throws: GraphError.self) {
            try Executor(plan: plan, parameters: ["w": integers([4, 3], [Int64](repeating: 0, count: 12))])
        }
        let executor = try Executor(plan: plan, parameters: ["w": real([4, 3], (0..<12).map { Double($0) })])
        let x = real([1, 2, 4], [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(throws: InputError.self) { try executor.run(inputs: ["a": x]) }
        #expect(throws: InputError.self) { try executor.run(inputs: ["a": x, "b": x, "c": x]) }
        #expect(throws: InputError.self) { try executor.run(inputs: ["a": x, "b": real([1, 1, 4], [1, 2, 3, 4])]) }
        for _ in 0..<2 {
            let result = try executor.run(inputs: ["a": x, "b": x], capturing: .layerOutputs)
            #expect(try result["y"]?.doubles() == [120, 140, 160, 264, 316, 368])
            #expect(result.captured.map(\.name) == ["sum"])
            #expect(result.captured[0].tensor.dtype == (backend == .reference ? .f64 : .f32))
            #expect(try result.captured[0].tensor.doubles() == [2, 4, 6, 8, 10, 12, 14, 16])
        }
        // Inputs and parameters can be captured too, where the backend keeps them.
        let values = [NamedValue("in", graph.inputs[0].value)] + (backend == .reference ? [NamedValue("w", graph.parameters[0].value)] : [])
        let captured = try executor.run(inputs: ["a": x, "b": x], capturing: .values(values)).captured
        #expect(captured.map(\.tensor.count) == (backend == .reference ? [8, 12] : [8]))
        #expect(throws: GraphError.self) { try executor.run(inputs: ["a": x, "b": x], capturing: .values([NamedValue("", ValueID(99))])) }
    }

    @Test(arguments: Backend.allCases)
    func outputsThatNobodyComputes(_ backend: Backend) throws {
        var graph = Graph(name: "through")
        let x = try graph.addInput("x", ValueType(.i64, [2]))
        let w = try graph.addParameter("w", ValueType(.f16, [2]))
        let doubled = try graph.binary(.add, w, w)
        let flag = try graph.append(.constant(Literal(.bool, [1])), [])
        graph.outputs = [
            NamedValue("x", x), NamedValue("w", w), NamedValue("doubled", doubled), NamedValue("x again", x), NamedValue("flag", flag),
        ]
        graph.layerOutputs = [NamedValue("layer", doubled), NamedValue("flag", flag)]
        let half = Tensor(dtype: .f16, shape: [2], bytes: [0x00, 0x3C, 0x00, 0xC0])
        let result = try Executor.run(
            graph, parameters: ["w": half], inputs: ["x": integers([2], [5, 6])], options: ExecutionOptions(backend: backend),
            capturing: .layerOutputs)
        #expect(try result.outputs.map { try $0.tensor.doubles() } == [[5, 6], [1, -2], [2, -4], [5, 6], [1]])
        #expect(result.outputs.map(\.tensor.dtype) == [.i64, .f32, .f32, .i64, .bool])
        #expect(try result.captured.map { try $0.tensor.doubles() } == [[2, -4], [1]])
        #expect(result.captured[1].tensor.dtype == .bool)
    }

    /// Parameters in a file are read through its mapping, also at odd positions.
    @Test(arguments: [0, 1, 4])
    func mappedParameters(_ offset: Int) throws {
        let path = "/tmp/ingot-executor-\(getpid())-\(offset)"
        let weights: [Float] = (0..<12).map { Float($0) }
        let bytes = [UInt8](repeating: 7, count: offset) + weights.withUnsafeBytes { Array($0) }
        let file = try #require(fopen(path, "w"))
        fwrite(bytes, 1, bytes.count, file)
        fclose(file)
        defer { unlink(path) }
        let region = try #require(try ByteRegion(path: path).subregion(offset: UInt64(offset), count: 48))
        let w = Tensor(dtype: .f32, shape: [4, 3], storage: region)
        let x = real([1, 2, 4], [1, 2, 3, 4, 5, 6, 7, 8])
        let result = try Executor.run(PlannerTests.twoInputs(), parameters: ["w": w], inputs: ["a": x, "b": x])
        #expect(try result.outputs[0].tensor.doubles() == [120, 140, 160, 264, 316, 368])
    }
}
