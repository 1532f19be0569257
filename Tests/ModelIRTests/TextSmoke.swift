import ModelIR
import Testing

@Test func smoke() throws {
    var g = Graph(name: "my model")
    let x = try g.addInput("input_1", ValueType(.f32, [.symbol("batch"), .symbol("time"), 3]))
    let k = try g.addParameter("lstm/kernel", ValueType(.f32, [3, 16]))
    let r = try g.addParameter("lstm/recurrent kernel", ValueType(.f32, [4, 16]))
    g.origin = "lstm"
    let o = try g.appendAll(.composite(.recurrence(Recurrence(cell: .lstm, activation: .tanh, recurrentActivation: .hardSigmoid(slope: 0.2, offset: 0.5), hasBias: false, hasMask: false, hasInitialState: false, goesBackwards: true, zeroesMaskedOutput: false))), [x, k, r])
    let y = try g.addInput("7", ValueType(.f32, []))
    let z = try g.binary(.add, o[0], y)
    g.origin = ""
    let s = try g.append(.slice([SliceRange(), SliceRange(1, -1), SliceRange(0, 4, step: 2)]), [z])
    let c = try g.append(.constant(Literal(.f32, [-0.0])), [])
    g.outputs = [NamedValue("a b", s), NamedValue("c", c)]
    g.layerOutputs = [NamedValue("lstm", o[1])]
    print(g.text)
    #expect(try Graph.parse(g.text) == g)
}
