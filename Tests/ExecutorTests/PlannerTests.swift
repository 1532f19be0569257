import ByteIO
import ModelIR
import Testing

@testable import Executor

@Suite struct PlannerTests {
    /// y = (a + b) x w with a: [batch, time, 4], b: [batch, time, 4].
    static func twoInputs() throws -> Graph {
        var graph = Graph(name: "two")
        let a = try graph.addInput("a", ValueType(.f32, [.symbol("batch"), .symbol("time"), 4]))
        let b = try graph.addInput("b", ValueType(.f32, [.symbol("batch"), .symbol("time"), 4]))
        let w = try graph.addParameter("w", ValueType(.f32, [4, 3]))
        graph.origin = "sum"
        let sum = try graph.binary(.add, a, b)
        graph.layerOutputs.append(NamedValue("sum", sum))
        graph.origin = "dense"
        graph.outputs = [NamedValue("y", try graph.append(.matmul, [sum, w]))]
        return graph
    }

    @Test func bindsSymbols() throws {
        let plan = try Planner.plan(Self.twoInputs(), inputShapes: ["a": [2, 5, 4], "b": [2, 5, 4]])
        #expect(plan.dimensions == ["batch": 2, "time": 5])
        #expect(plan.shape(of: plan.graph.outputs[0].value) == [2, 5, 3])
        #expect(plan.operations == 2 * 2 * 5 * 4 * 3 + 2 * 5 * 4)
        #expect(plan.parameterBytes >= 48)
        // Two inputs, the sum, the result: each rounded up to 64 bytes; the inputs' places are free again when the result is written.
        #expect(plan.bufferBytes == 192 + 192 + 192)
    }

    @Test(
        arguments: [
            (["a": [2, 5, 4], "b": [2, 6, 4]], "input 'b' has 6 for dimension 1 ('time'), but dimension 1 of 'a' gives it 5"),
            (["a": [2, 5, 4]], "input 'b' [batch, time, 4] is missing"),
            (["a": [2, 5], "b": [2, 5, 4]], "input 'a' has shape [2, 5], expected [batch, time, 4]"),
            (["a": [2, 5, 3], "b": [2, 5, 4]], "input 'a' has 3 for dimension 2, expected 4"),
            (["a": [2, 5, 4], "b": [2, 5, 4], "c": [1]], "the model has no input 'c'; it takes 'a', 'b'"),
            (["a": [-2, 5, 4], "b": [2, 5, 4]], "input 'a' has a negative size in [-2, 5, 4]"),
        ] as [([String: [Int]], String)])
    func refusesShapes(_ shapes: [String: [Int]], _ message: String) throws {
        let graph = try Self.twoInputs()
        let error = #expect(throws: InputError.self) { try Planner.plan(graph, inputShapes: shapes) }
        #expect(error?.message == message)
    }

    @Test func checksNodesAgainWithNumbers() throws {
        var graph = Graph(name: "open")
        let a = try graph.addInput("a", ValueType(.f32, [.symbol("n")]))
        let b = try graph.addInput("b", ValueType(.f32, [.symbol("m")]))
        graph.origin = "join"
        graph.outputs = [NamedValue("y", try graph.binary(.add, a, b))]
        _ = try Planner.plan(graph, inputShapes: ["a": [3], "b": [3]])
        for shapes in [["a": [3], "b": [4]], ["a": [4], "b": [1]]] {
            let error = #expect(throws: InputError.self) { try Planner.plan(graph, inputShapes: shapes) }
            #expect(error?.message.contains("join") == true)
        }
        var reshaped = Graph(name: "reshape")
        let x = try reshaped.addInput("x", ValueType(.f32, [.symbol("n")]))
        reshaped.outputs = [NamedValue("y", try reshaped.append(.reshape([.symbol("n").floorDivided(by: 2), 2]), [x]))]
        #expect(try Planner.plan(reshaped, inputShapes: ["x": [6]]).shape(of: reshaped.outputs[0].value) == [3, 2])
        #expect(throws: InputError.self) { try Planner.plan(reshaped, inputShapes: ["x": [7]]) }
        var empty = Graph(name: "empty")
        let e = try empty.addInput("x", ValueType(.f32, [.symbol("n"), 2]))
        empty.outputs = [NamedValue("y", try empty.append(.argmax(axis: 0, keepsDimensions: false), [e]))]
        #expect(throws: InputError.self) { try Planner.plan(empty, inputShapes: ["x": [0, 2]]) }
    }

    @Test(arguments: Backend.allCases)
    func refusesTooMuchMemoryBeforeAllocating(_ backend: Backend) throws {
        var graph = Graph(name: "large")
        let x = try graph.addInput("x", ValueType(.f32, [.symbol("n"), 1]))
        let y = try graph.addInput("y", ValueType(.f32, [1, .symbol("n")]))
        graph.outputs = [NamedValue("z", try graph.binary(.add, x, y))]
        for n in [100_000, 10_000_000, 3_000_000_000, Int.max / 2] {
            let options = ExecutionOptions(backend: backend, maxMemory: n > 10_000_000 ? .max : 1 << 30)
            #expect(throws: (any Error).self) { try Planner.plan(graph, inputShapes: ["x": [n, 1], "y": [1, n]], options: options) }
        }
        let error = #expect(throws: UnsupportedError.self) {
            try Planner.plan(
                graph, inputShapes: ["x": [100_000, 1], "y": [1, 100_000]], options: ExecutionOptions(backend: backend, maxMemory: 1 << 30))
        }
        #expect(error?.message.contains("memory limit of 1073.8 MB") == true)
        _ = try Planner.plan(
            graph, inputShapes: ["x": [1000, 1], "y": [1, 1000]], options: ExecutionOptions(backend: backend, maxMemory: 1 << 30))
    }

    /// Values that don't live at the same time share memory: a chain of any length needs room for two.
    @Test func reusesBuffers() throws {
        var graph = Graph(name: "chain")
        var x = try graph.addInput("x", ValueType(.f32, [1024]))
        for _ in 0..<50 { x = try graph.unary(.tanh, x) }
        graph.outputs = [NamedValue("y", x)]
        #expect(try Planner.plan(graph, inputShapes: ["x": [1024]]).bufferBytes == 8192)
        #expect(try Planner.plan(graph, inputShapes: ["x": [1024]], options: ExecutionOptions(backend: .reference)).bufferBytes == 16384)
    }
}
