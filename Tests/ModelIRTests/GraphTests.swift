import ModelIR
import Testing

@Suite struct GraphTests {
    @Test func namesAreUsedOnce() throws {
        var graph = Graph(name: "g")
        _ = try graph.addInput("x", f32(2))
        #expect(throws: GraphError("two inputs are named 'x'")) { try graph.addInput("x", f32(2)) }
        let p = try graph.addParameter("p", f32(2))
        #expect(try graph.addParameter("p", f32(2)) == p)
        #expect(throws: GraphError("parameter 'p' is used as f32[3] and as f32[2]")) { try graph.addParameter("p", f32(3)) }
        #expect(graph.types.count == 2 && graph.parameters.count == 1)
    }

    @Test func errorsNameTheLayer() throws {
        var graph = Graph(name: "g")
        let x = try graph.addInput("x", f32(2))
        graph.origin = "dense"
        #expect(throws: GraphError("matmul can't multiply [2] and [2]", origin: "dense")) { try graph.append(.matmul, [x, x]) }
        #expect(throws: GraphError("value %7 is used before it is defined", origin: "dense")) { try graph.unary(.exp, ValueID(7)) }
        #expect(throws: GraphError.self) { try graph.unary(.exp, ValueID(-1)) }
        #expect(throws: GraphError("input 'n' has a negative size: f32[-1]", origin: "dense")) { try graph.addInput("n", f32(-1)) }
        #expect(graph.nodes.isEmpty && graph.types.count == 1, "a refused node leaves nothing behind")
        _ = try graph.addInput("n", f32(1))
    }

    @Test func linearIsNoNode() throws {
        var graph = Graph(name: "g")
        let x = try graph.addInput("x", f32(2))
        #expect(try graph.activation(.linear, x) == x)
        #expect(try graph.activation(.relu, x) != x)
        #expect(graph.nodes.map(\.op) == [.composite(.activation(.relu))])
    }

    @Test func firstDifference() throws {
        func graph(_ change: (inout [String]) -> Void = { _ in }) throws -> Graph {
            var lines = [
                "ingot graph 1", "graph @g(%x: f32[batch, 4]) -> (y: f32[batch, 2]) {", "parameter @a: f32[4, 2]",
                "parameter @b: f32[4, 2]",
                "%3 = matmul(%x, @a) : f32[batch, 2]  // dense", "%4 = exp(%3) : f32[batch, 2]  // exp", "output y = %4", "}",
            ]
            change(&lines)
            return try Graph.parse(lines.joined(separator: "\n"))
        }
        func difference(_ change: (inout [String]) -> Void) throws -> String? {
            try graph().firstDifference(from: graph(change))?.description
        }
        #expect(try difference { _ in } == nil)
        #expect(try difference { $0[1] = $0[1].replacing("@g", with: "@other") } == nil)
        // Parameters in another order, and so with other numbers.
        #expect(
            try difference {
                $0.swapAt(2, 3)
                $0[4] = $0[4].replacing("%x", with: "%0")
            } == nil)
        #expect(try difference { $0[5] = "%4 = log(%3) : f32[batch, 2]" }?.hasPrefix("layer 'exp': ") == true)
        #expect(
            try difference { $0[4] = $0[4].replacing("@a", with: "@b") } == "layer 'dense': matmul of some values against matmul of others")
        #expect(try difference { $0[6] = "output y = %3" } == "output 'y': y against another value")
        #expect(try difference { $0[3] = "parameter @c: f32[4, 2]" } == "parameter 'b': used against not used")
        #expect(try difference { $0.replaceSubrange(5...6, with: ["output y = %3"]) } == "layer 'exp': 2 operations against 1 operations")
    }
}
