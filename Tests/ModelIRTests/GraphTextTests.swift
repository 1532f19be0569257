import ModelIR
import Testing

@Suite struct GraphTextTests {
    private func expectRoundTrip(_ graph: Graph, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let text = graph.text
        let parsed = try Graph.parse(text)
        #expect(parsed == graph, sourceLocation: sourceLocation)
        #expect(parsed.text == text, sourceLocation: sourceLocation)
        #expect(parsed.hashValue == graph.hashValue, sourceLocation: sourceLocation)
    }

    @Test func everyOperationReadsBack() throws {
        for sample in Samples.all { try expectRoundTrip(Samples.graph(of: [sample])) }
        try expectRoundTrip(Samples.graph(of: Samples.all))
    }

    @Test func samplesHaveEveryCase() throws {
        // 38 activations: one more than the names, since the rectifier is there with its maximum and without.
        #expect(Set(Samples.activations).count == 38)
        let names = Set(Samples.activations.map { "\($0)".prefix { $0 != "(" } })
        #expect(names.count == 37)
        let expected =
            UnaryFunction.allCases.map(\.rawValue) + BinaryFunction.allCases.map(\.rawValue) + Comparison.allCases.map(\.rawValue)
            + Reduction.allCases.map { "reduce_\($0.rawValue)" } + Pool.Kind.allCases.map { "pool_\($0.rawValue)" } + [
                "constant", "select", "cast", "matmul", "reshape", "transpose", "broadcast", "slice", "reverse", "pad", "concat", "gather",
                "scatter", "sort", "argmax", "cumulative_sum", "iota", "convolution", "activation", "softmax", "layer_norm", "batch_norm",
                "simple_rnn", "lstm", "gru", "attention",
            ]
        #expect(Set(Samples.all.map(\.op.name)) == Set(expected))
        #expect(Set(expected).count == expected.count, "two operations have one name")
    }

    @Test func readsWell() throws {
        var graph = Graph(name: "model")
        let x = try graph.addInput("input_1", f32(batch, time, 3))
        let kernel = try graph.addParameter("lstm/kernel", f32(3, 16))
        let recurrent = try graph.addParameter("lstm/recurrent_kernel", f32(4, 16))
        let bias = try graph.addParameter("lstm/bias", f32(16))
        graph.origin = "lstm"
        let lstm = Recurrence(
            cell: .lstm, activation: .tanh, recurrentActivation: .sigmoid, hasBias: true, hasMask: false, hasInitialState: false,
            goesBackwards: false, zeroesMaskedOutput: false)
        let states = try graph.appendAll(.composite(.recurrence(lstm)), [x, kernel, recurrent, bias])
        graph.origin = "my layer"
        let weights = try graph.addParameter("dense kernel", f32(4, 2))
        let scale = try graph.addInput("scale", f32())
        let product = try graph.binary(.multiply, graph.append(.matmul, [states[1], weights]), scale)
        graph.origin = ""
        let tail = try graph.append(.slice([SliceRange(), SliceRange(1, -1)]), [x].map { try graph.append(.reshape([batch, 3]), [$0]) })
        graph.outputs = [NamedValue("dense", product), NamedValue("", tail)]
        graph.layerOutputs = [NamedValue("lstm", states[1]), NamedValue("my layer", product)]
        let expected = """
            ingot graph 1
            graph @model(%input_1: f32[batch, time, 3], %scale = %8: f32[]) -> (dense: f32[batch, 2], "": f32[batch, 1]) {
              parameter @lstm/kernel: f32[3, 16]
              parameter @lstm/recurrent_kernel: f32[4, 16]
              parameter @lstm/bias: f32[16]
              %4, %5, %6 = lstm(%input_1, @lstm/kernel, @lstm/recurrent_kernel, @lstm/bias) activation=tanh recurrent_activation=sigmoid \
            bias : f32[batch, time, 4], f32[batch, 4], f32[batch, 4]  // lstm
              parameter @"dense kernel": f32[4, 2]
              %9 = matmul(%5, @"dense kernel") : f32[batch, 2]  // "my layer"
              %10 = multiply(%9, %scale) : f32[batch, 2]  // "my layer"
              %11 = reshape(%input_1) : f32[batch, 3]
              %12 = slice(%11) ranges=[:, 1:-1] : f32[batch, 1]
              output dense = %10
              output "" = %12
              layer lstm = %5
              layer "my layer" = %10
            }

            """
        #expect(graph.text == expected)
        try expectRoundTrip(graph)
    }

    @Test func attributesReadWell() throws {
        let shown = try Samples.graph(of: [
            Sample(.constant(Literal(.f32, shape: [3], [1, -0.5, 1e-7])), []), Sample(.pad([PadWidth(1, 2)], value: 0), [f32(time)]),
            Sample(.composite(.activation(.rectifier(maximum: 6, negativeSlope: 0.1, threshold: 0))), [f32(2)]),
            Sample(
                .convolution(Convolution(strides: [2], dilations: [1], padding: .valid, groups: 1)), [f32(batch, time, 4), f32(5, 4, 6)]),
        ]).text.split(separator: "\n").filter { $0.hasPrefix("  %") }
        #expect(
            shown == [
                "  %0 = constant() value=[1, -0.5, 1e-07] : f32[3]",
                "  %2 = pad(%x1/0) widths=[(1, 2)] value=0 : f32[max((time + 3), 0)]  // layer_1",
                "  %4 = activation(%x2/0) function=rectifier(maximum=6, negative_slope=0.1, threshold=0) : f32[2]  // layer_2",
                "  %7 = convolution(%x3/0, @p3.1) strides=[2] dilations=[1] padding=valid groups=1 "
                    + ": f32[batch, ceil(max((time + -4), 0) / 2), 6]",
            ])
    }

    @Test func anyNameReadsBack() throws {
        let names = [
            "", " ", "plain", "a b", "0", "17", "-", "->", "//", "\"", "\\", "\n\r\t", "\u{0}\u{1b}[31m", "\u{202e}abc", "\u{e0001}",
            "naïve/层", "😀", "a:b", "x=1", "@x", "%x", "max", "output", "}", "e\u{301}", "\r\n",
        ]
        var graph = Graph(name: names[9])
        for name in names {
            let input = try graph.addInput(name, ValueType(.f32, [.symbol(name), .symbol("n")]))
            let parameter = try graph.addParameter(name, ValueType(.f32, [.symbol(name), .symbol("n")]))
            graph.origin = name
            let sum = try graph.binary(.add, input, parameter)
            graph.outputs.append(NamedValue(name, sum))
            graph.layerOutputs.append(NamedValue(name, sum))
        }
        try expectRoundTrip(graph)
        let text = graph.text
        #expect(text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x202E || $0 == "\n" }, "names may steer a terminal")
        for name in names {
            var named = Graph(name: name)
            named.outputs = []
            try expectRoundTrip(named)
        }
    }

    @Test func everyDimensionReadsBackAsTheSameTree() throws {
        let dims: [Dim] = [
            0, 7, .fixed(.max), batch, .symbol("9 lives"), .symbol("max"), .symbol("floor"), .symbol("f32"), .sum(batch, time),
            .sum(.sum(batch, 1), -1), .sum(1, 1), .sum(0, batch), .product(time, 1), .product(.product(2, 3), batch), .fixed(3) * batch,
            .sum(batch, .fixed(.min)), .floorQuotient(time, 2), .ceilQuotient(.floorQuotient(time, 1), .max), .maximum(.sum(time, -2), 0),
            .maximum(.maximum(8, -5), .min), .product(.sum(batch, time), .sum(time, batch)), .floorQuotient(.fixed(-5), 3),
        ]
        for dim in dims {
            var graph = Graph(name: "g")
            _ = try graph.addParameter("p", f32(dim, 2, dim))
            let x = try graph.addInput("x", f32(dim))
            graph.outputs = [NamedValue("y", x)]
            try expectRoundTrip(graph)
        }
    }

    @Test func valuesMayBeSharedAndRepeated() throws {
        var graph = Graph(name: "shared")
        let kernel = try graph.addParameter("k", f32(2, 2))
        let x = try graph.addInput("x", f32(2, 2))
        let a = try graph.append(.matmul, [x, kernel])
        let again = try graph.addParameter("k", f32(2, 2))
        #expect(again == kernel)
        let b = try graph.append(.matmul, [a, again])
        _ = try graph.binary(.add, b, b)
        graph.outputs = [NamedValue("y", b), NamedValue("y", b), NamedValue("k", kernel), NamedValue("x", x)]
        try expectRoundTrip(graph)
        var empty = Graph(name: "empty")
        try expectRoundTrip(empty)
        empty.origin = "what comes next"
        #expect(empty == Graph(name: "empty"))
    }

    @Test func spacesDontMatter() throws {
        let text = """
            ingot graph 1 graph@m(%x:f32[batch,2],%"y"=%1:f32[2])->(z:f32[batch,2]){%2=add(%0,%1):f32[batch,2]//a
            \toutput z=%2\r\nlayer l = %y}
            """
        let graph = try Graph.parse(text)
        #expect(graph.inputs.map(\.name) == ["x", "y"])
        #expect(graph.nodes[0].origin == "a")
        #expect(graph.layerOutputs == [NamedValue("l", ValueID(1))])
    }
}
