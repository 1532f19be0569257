import Executor
import ModelIR
import Testing

@testable import Conversion

/// What a declared rewrite may change is what rounding the rewritten parameters does, and nothing else.
@Suite struct RewriteRoundingTests {
    /// y = x W V.
    private func effect(of names: [String]) throws -> [Double] {
        var graph = Graph(name: "two products")
        let x = try graph.addInput("x", ValueType(.f32, [.fixed(2), .fixed(3)]))
        let w = try graph.addParameter("w", ValueType(.f32, [.fixed(3), .fixed(4)]))
        let v = try graph.addParameter("v", ValueType(.f32, [.fixed(4), .fixed(1)]))
        graph.outputs = [NamedValue("y", try graph.append(.matmul, [graph.append(.matmul, [x, w]), v]))]
        let parameters = [
            "w": Tensor((1...12).map { Float($0) / 7 }, shape: [3, 4]), "v": Tensor((1...4).map { Float($0) / 3 }, shape: [4, 1]),
        ]
        let inputs = ["x": Tensor((1...6).map { Float($0) / 5 }, shape: [2, 3])]
        let options = ExecutionOptions(backend: .reference)
        let first = try Executor.run(graph, parameters: parameters, inputs: inputs, options: options)
        return try Verification.effectOfRounding(
            of: names, in: graph, parameters: parameters, inputs: inputs, options: options, first: first)
    }

    @Test func oneUnitInTheLastPlaceOfWhatIsRewritten() throws {
        // The greatest output is 10.8; each factor moves by 2^-23 of itself, and is then rounded to f32 by half of that.
        let effect = try effect(of: ["w"])
        #expect(effect.count == 1)
        #expect(effect[0] > 0)
        #expect(effect[0] < 17 * 0x1p-23)
    }

    @Test func parametersThatAreNotRewrittenAllowNothing() throws {
        #expect(try effect(of: []) == [0])
        #expect(try effect(of: ["another"]) == [0])
    }
}
