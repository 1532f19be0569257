import ByteIO
import ModelIR
import Testing

@Suite struct GraphTextErrorTests {
    /// A graph of these lines over inputs `%x: f32[batch, 4]`, `%i: i64[3]`, `%b: bool[2, 1]` and parameter `@w: f32[4, 2]`, which is %3.
    private static func text(_ lines: String) -> String {
        "ingot graph 1\ngraph @g(%x: f32[batch, 4], %i: i64[3], %b: bool[2, 1]) -> () {\n  parameter @w: f32[4, 2]\n\(lines)\n}\n"
    }

    /// Lines, and the error that begins with line 4.
    static let refused: [(String, String)] = [
        ("%4 = frobnicate(%x) : f32[batch, 4]", "line 4, column 6: unknown operation 'frobnicate'"),
        ("%4 = reduce_median(%x) axes=[0] : f32[4]", "line 4, column 6: unknown operation 'reduce_median'"),
        ("%4 = exp(%9) : f32[batch, 4]", "line 4, column 10: value %9 is used before it is defined"),
        ("%4 = exp(%4) : f32[batch, 4]", "line 4, column 10: value %4 is used before it is defined"),
        ("%4 = exp(%99999999999999999999) : f32[4]", "line 4, column 10: value %99999999999999999999 is used before it is defined"),
        ("%4 = exp(%y) : f32[batch, 4]", "line 4, column 10: there is no input 'y' here"),
        ("%4 = exp(@v) : f32[batch, 4]", "line 4, column 10: there is no parameter 'v' here"),
        ("%4 = exp(@x) : f32[batch, 4]", "line 4, column 10: there is no parameter 'x' here"),
        ("%2 = exp(%x) : f32[batch, 4]", "line 4, column 2: value %2 is defined twice"),
        ("%4 = exp(%x) : f32[batch, 4]\n%4 = exp(%x) : f32[batch, 4]", "line 5, column 2: value %4 is defined twice"),
        ("%6 = exp(%x) : f32[batch, 4]", "line 4, column 2: the next value is %4, not %6"),
        ("%4, %6 = sort(%x) axis=0 : f32[batch, 4], i64[batch, 4]", "line 4, column 6: the next value is %5, not %6"),
        ("%-1 = exp(%x) : f32[batch, 4]", "line 4, column 2: value %-1 is defined twice"),
        ("%four = exp(%x) : f32[batch, 4]", "line 4, column 2: expected a number before four"),
        ("%99999999999999999999 = exp(%x) : f32[4]", "line 4, column 2: this is no number of 64 bits"),
        ("parameter @w: f32[2]", "line 4, column 12: parameter 'w' is declared twice"),
        ("parameter w: f32[2]", "line 4, column 11: expected '@' before w:"),
        ("input %z: f32[2]", "line 4, column 1: a line is a value '%..', a parameter, an output or a layer"),
        ("?", "line 4, column 1: expected a word before ?"),
        ("layer l = %7", "line 4, column 11: value %7 is used before it is defined"),
        ("layer l %1", "line 4, column 9: expected '=' before %1"),
        ("layer = %1", "line 4, column 7: expected a name before ="),
        ("output y = %x", "line 4, column 7: the signature has only 0 outputs"),
        // Types.
        ("%4 = exp(%x) : f32[batch, 5]", "line 4, column 16: exp gives f32[batch, 4], not f32[batch, 5]"),
        ("%4 = exp(%x) : f64[batch, 4]", "line 4, column 16: exp gives f32[batch, 4], not f64[batch, 4]"),
        ("%4 = exp(%x) : f32[time, 4]", "line 4, column 16: exp gives f32[batch, 4], not f32[time, 4]"),
        ("%4 = exp(%i) : i64[3]", "line 4, column 6: exp takes floats, not i64"),
        ("%4 = not(%i) : i64[3]", "line 4, column 6: not takes bool, not i64"),
        ("%4 = negate(%b) : bool[2, 1]", "line 4, column 6: negate takes numbers, not bool"),
        ("%4 = exp(%x, %x) : f32[batch, 4]", "line 4, column 6: exp takes 1 inputs, not 2"),
        ("%4 = add(%x) : f32[batch, 4]", "line 4, column 6: add takes 2 inputs, not 1"),
        ("%4 = select(%b) : f32[1]", "line 4, column 6: select takes 3 inputs, not 1"),
        ("%4 = add(%x, %i) : f32[3]", "line 4, column 6: add takes one dtype, not f32[batch, 4] and i64[3]"),
        ("%4 = add(%x, @w) : f32[batch, 4]", "line 4, column 6: add can't broadcast [batch, 4] and [4, 2]"),
        ("%4 = and(%i, %i) : i64[3]", "line 4, column 6: and doesn't take i64"),
        ("%4 = matmul(@w, @w) : f32[4, 2]", "line 4, column 6: matmul can't multiply [4, 2] and [4, 2]"),
        ("%4 = matmul(%i, %i) : i64[3]", "line 4, column 6: matmul takes floats of one dtype, not i64[3] and i64[3]"),
        ("%4 = reshape(@w) : f32[9]", "line 4, column 6: reshape can't turn [4, 2] into [9]"),
        ("%4 = reduce_sum(%x) axes=[2] : f32[4]", "line 4, column 6: reduce_sum has no axis 2 in [batch, 4]"),
        ("%4 = transpose(%x) permutation=[0] : f32[4]", "line 4, column 6: [0] is no permutation of the axes of [batch, 4]"),
        ("%4 = concat() axis=0 : f32[4]", "line 4, column 6: concat takes at least 1 input"),
        ("%4 = softmax(%x) axis=2 : f32[batch, 4]", "line 4, column 6: softmax has no axis 2 in [batch, 4]"),
        ("%4 = sort(%x) axis=0 : f32[batch, 4]", "line 4, column 6: sort gives 2 values, not 1"),
        ("%4, %5 = exp(%x) : f32[batch, 4]", "line 4, column 10: exp gives 1 values, not 2"),
        ("%4 = constant() value=[1, 2] : f32[3]", "line 4, column 6: a constant has 2 values for shape [3], at most 16"),
        ("%4 = constant() value=1 : f32[batch]", "line 4, column 6: a constant has a fixed shape, not [batch]"),
        ("%4 = constant() value=0.5 : i32[]", "line 4, column 6: 0.5 is no i32"),
        ("%4 = constant() value=nan : i64[]", "line 4, column 6: nan is no i64"),
        (
            "%4 = constant() value=[] : f32[9223372036854775807, 9223372036854775807]",
            "line 4, column 6: a constant has 0 values for shape "
        ),
        // Attributes.
        ("%4 = softmax(%x) : f32[batch, 4]", "line 4, column 6: softmax needs the attribute 'axis'"),
        ("%4 = softmax(%x) axis : f32[batch, 4]", "line 4, column 18: 'axis' is not an integer"),
        ("%4 = softmax(%x) axis=1.5 : f32[batch, 4]", "line 4, column 18: 'axis' is not an integer"),
        ("%4 = softmax(%x) axis=9223372036854775808 : f32[4]", "line 4, column 18: 'axis' is not an integer"),
        ("%4 = softmax(%x) axis=[1] : f32[batch, 4]", "line 4, column 18: 'axis' is not an integer"),
        ("%4 = softmax(%x) axis=1 axis=1 : f32[batch, 4]", "line 4, column 25: 'axis' is given twice"),
        (
            "%4 = attention(%x) pattern=wide scale=1 unattended=zero : f32[4]",
            "line 4, column 20: 'pattern' is not an attention pattern with its parameters"
        ),
        (
            "%4 = attention(%x) pattern=strided(stride=2, summary=1) scale=1 unattended=zero : f32[4]",
            "line 4, column 20: 'pattern' is not an attention pattern with its parameters"
        ),
        (
            "%4 = attention(%x) pattern=[full, wide] scale=1 unattended=zero : f32[4]",
            "line 4, column 20: 'pattern' is not an attention pattern with its parameters"
        ),
        (
            "%4 = attention(%x) head_groups=[1] pattern=[full, causal] scale=1 unattended=zero : f32[4]",
            "line 4, column 6: attention has 1 groups of heads and 2 patterns"
        ),
        ("%4 = attention(%x) pattern=full scale=1 unattended=one : f32[4]", "line 4, column 41: 'unattended' is not one of uniform, zero"),
        ("%4 = attention(%x) pattern=full scale=1 unattended=zero : f32[4]", "line 4, column 6: attention takes 3 inputs, not 1"),
        (
            "%4 = attention(%x, %x, %x) pattern=full scale=1 unattended=zero : f32[4]",
            "line 4, column 6: attention takes floats [batch, positions, heads, size], not "
        ),
        ("%4 = softmax(%x) axis=1 fast : f32[batch, 4]", "line 4, column 25: softmax has no attribute 'fast'"),
        ("%4 = reduce_sum(%x) axes=0 : f32[4]", "line 4, column 21: 'axes' is not a list of integers"),
        ("%4 = reduce_sum(%x) axes=[0] keeps_dimensions=1 : f32[1, 4]", "line 4, column 30: 'keeps_dimensions' takes no value"),
        ("%4 = activation(%x) function=rely : f32[batch, 4]", "line 4, column 21: 'function' is not an activation with its parameters"),
        ("%4 = activation(%x) function=elu : f32[batch, 4]", "line 4, column 21: 'function' is not an activation with its parameters"),
        ("%4 = activation(%x) function=elu(beta=1) : f32[4]", "line 4, column 21: 'function' is not an activation with its parameters"),
        ("%4 = activation(%x) function=relu(beta=1) : f32[4]", "line 4, column 21: 'function' is not an activation with its parameters"),
        ("%4 = activation(%x) function=elu(alpha=1e999) : f32[4]", "line 4, column 21: 'function' is not an activation with its"),
        ("%4 = slice(%x) ranges=[1] : f32[4]", "line 4, column 16: 'ranges' is not a list of ranges start:end:step"),
        ("%4 = slice(@w) ranges=[:, ::0] : f32[4]", "line 4, column 6: slice has step 0"),
        ("%4 = slice(%x) ranges=[-2:, :] : f32[2, 4]", "line 4, column 6: slice -2: of the open dimension batch has no simple size"),
        ("%4 = pad(@w) widths=[(0, 0), 1] value=0 : f32[4]", "line 4, column 14: 'widths' is not a list of pairs (before, after)"),
        ("%4 = pad(@w) widths=[(0)] value=0 : f32[4]", "line 4, column 24: expected ',' before )]"),
        (
            "%4 = pool_maximum(%x) sizes=[1] strides=[1] padding=full : f32[4]",
            "line 4, column 45: 'padding' is not one of valid, same, causal"
        ),
        // Types and dimensions themselves.
        ("parameter @p: f31[2]", "line 4, column 15: expected a type"), ("parameter @p: f32", "line 5, column 1: expected '[' before }"),
        ("parameter @p: f32[2 3]", "line 4, column 21: expected ',' before 3]"),
        ("parameter @p: f32[-1]", "line 4, column 12: parameter 'p' has a negative size: f32[-1]"),
        ("%4 = reshape(%x) : f32[-2, -2]", "line 4, column 6: reshape has a negative size: f32[-2, -2]"),
        ("parameter @p: f32[n+1]", "line 4, column 20: expected ',' before +1]"),
        ("parameter @p: f32[(n - 1)]", "line 4, column 22: expected '*' before -"),
        ("parameter @p: f32[min(n, 1)]", "line 4, column 19: unknown function 'min'"),
        ("parameter @p: f32[floor(n / 0)]", "line 4, column 29: a divisor is positive"),
        ("parameter @p: f32[99999999999999999999]", "line 4, column 19: this is no number of 64 bits"),
        ("parameter @p: f32[2", "line 5, column 1: expected ',' before }"),
        // Names.
        ("parameter @: f32[2]", "line 4, column 12: expected a name before :"),
        ("parameter @\"p: f32[2]", "line 4, column 22: a quoted name holds a control character"),
        ("parameter @\"\\x\": f32[2]", "line 4, column 13: unknown escape"),
        ("parameter @\"\\u{d800}\": f32[2]", "line 4, column 13: an escape is \\u{hexadecimal digits}"),
        ("parameter @\"\\u{110000}\": f32[2]", "line 4, column 13: an escape is \\u{hexadecimal digits}"),
        ("parameter @\"é\" ?", "line 4, column 16: expected ':' before ?"),
    ]

    @Test(arguments: refused) func refuses(_ lines: String, _ message: String) throws {
        let error = #expect(throws: GraphTextError.self) { try Graph.parse(Self.text(lines)) }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "no error")")
    }

    static let refusedTexts: [(String, String)] = [
        ("", "line 1, column 1: expected a word before the end of the text"),
        ("ingot model 1", "line 1, column 7: expected 'graph'"),
        ("ingot graph 2\ngraph @g() -> () {}", "line 1, column 13: this is version 2 of the text form; version 1 is known"),
        ("ingot graph 1\ngraph @g() -> () {", "line 2, column 19: expected a word before the end of the text"),
        ("ingot graph 1\ngraph @g() -> () {} x", "line 2, column 21: text after the graph's end"),
        ("ingot graph 1\ngraph @g() {}", "line 2, column 12: expected '->' before {}"),
        ("ingot graph 1\ngraph @g(%a: f32[], %a: f32[]) -> () {}", "line 2, column 22: two inputs are named 'a'"),
        ("ingot graph 1\ngraph @g(%a = %1: f32[], %b = %0: f32[]) -> () {}", "line 2, column 27: inputs stand in the order of their"),
        ("ingot graph 1\ngraph @g(%a = %-1: f32[]) -> () {}", "line 2, column 11: inputs stand in the order of their numbers"),
        ("ingot graph 1\ngraph @g(%a = %1: f32[]) -> () {}", "line 2, column 11: input 'a' is %1 of 0 values"),
        ("ingot graph 1\ngraph @g(%a: f32[]) -> (y: f32[]) {}", "line 2, column 37: the graph has 0 outputs and its signature 1"),
        (
            "ingot graph 1\ngraph @g(%a: f32[]) -> (y: f32[2]) {output y = %a}",
            "line 2, column 43: output 'y' is f32[]; the signature has 'y', f32[2]"
        ),
        (
            "ingot graph 1\ngraph @g(%a: f32[]) -> (y: f32[]) {output z = %a}",
            "line 2, column 42: output 'z' is f32[]; the signature has 'y', f32[]"
        ),
    ]

    @Test(arguments: refusedTexts) func refusesText(_ text: String, _ message: String) {
        let error = #expect(throws: GraphTextError.self) { try Graph.parse(text) }
        #expect(error?.description.hasPrefix(message) == true, "\(error?.description ?? "no error")")
    }

    static let accepted = [
        "%4 = matmul(%x, @w) : f32[batch, 2]", "%4 = and(%b, %b) : bool[2, 1]",
        "parameter @p: f32[time, 4]\n%5 = add(%x, @p) : f32[time, 4]", "parameter @p: f32[7, 4]\n%5 = add(%x, @p) : f32[7, 4]",
        "%4 = reshape(%x) : f32[2, 2]", "%4 = reshape(%x) : f32[(batch * 2), 2]", "%4 = broadcast(%x) : f32[time, 4]",
        "parameter @p: f32[max((time + -2), 0), 4]\n%5 = concat(%x, @p) axis=0 : f32[(batch + max((time + -2), 0)), 4]",
        "%4 = slice(%x) ranges=[1:-1, :] : f32[max((batch + -2), 0), 4]", "%4 = exp(%0) : f32[batch, 4] // \"any origin\"",
    ]

    @Test(arguments: accepted) func accepts(_ lines: String) throws {
        let graph = try Graph.parse(Self.text(lines))
        #expect(try Graph.parse(graph.text) == graph)
    }

    @Test func outputsOfAnotherGraphAreRefused() throws {
        var graph = Graph(name: "g")
        graph.outputs = [NamedValue("y", ValueID(3))]
        #expect(throws: GraphTextError.self) { try Graph.parse(graph.text) }
        graph.outputs = []
        graph.layerOutputs = [NamedValue("y", ValueID(-3))]
        #expect(throws: GraphTextError.self) { try Graph.parse(graph.text) }
    }

    @Test func limitsHold() throws {
        func expectRefusal(_ message: String, _ text: String, _ change: (inout Limits) -> Void) {
            var limits = Limits()
            change(&limits)
            let error = #expect(throws: GraphTextError.self) { try Graph.parse(text, limits: limits) }
            #expect(error?.message == message)
        }
        let text = Self.text("%4 = exp(%x) : f32[batch, 4]\n%5 = exp(%x) : f32[batch, 4]")
        _ = try Graph.parse(text)
        expectRefusal("the text has \(text.utf8.count) bytes, more than 100", text) { $0.documentByteCount = 100 }
        expectRefusal("a name is longer than 4 bytes", text) { $0.nameByteCount = 4 }
        expectRefusal("a type has more than 1 dimensions", text) { $0.rank = 1 }
        expectRefusal("the graph has more than 1 nodes", text) { $0.nodeCount = 1 }
        expectRefusal("the graph has more than 5 values", text) { $0.objectCount = 5 }
        expectRefusal("the graph has more than 2 inputs", text) { $0.objectCount = 2 }
        let deep = String(repeating: "(", count: 100_000)
        expectRefusal("a dimension nests deeper than 512", Self.text("parameter @p: f32[\(deep)")) { _ in }
        let operands = Array(repeating: "%x", count: 3_000).joined(separator: ", ")
        expectRefusal("the graph has more than 2048 operands of one operation", Self.text("%4 = concat(\(operands))")) { _ in }
        let list = Array(repeating: "0", count: 20_000).joined(separator: ", ")
        expectRefusal("a list has more than 10000 items", Self.text("%4 = transpose(%x) permutation=[\(list)]")) { _ in }
    }

    /// As deep as the limits allow: the walks over a dimension are recursive.
    @Test func deepDimensionsFitTheStack() throws {
        let operands = Array(repeating: "%x", count: 2_048).joined(separator: ", ")
        #expect(throws: GraphTextError.self) { try Graph.parse(Self.text("%4 = concat(\(operands)) axis=0 : f32[batch, 4]")) }
        var dim = "n"
        for _ in 0..<250 { dim = "ceil((\(dim) + 1) / 2)" }
        let graph = try Graph.parse(Self.text("parameter @p: f32[\(dim)]\n%5 = exp(@p) : f32[\(dim)]"))
        #expect(try Graph.parse(graph.text) == graph)
    }
}
