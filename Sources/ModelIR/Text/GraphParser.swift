/// Builds a graph from its text, statement by statement. The grammar:
///
///     text      = "ingot" "graph" version "graph" "@" name signature "{" {statement} "}"
///     signature = "(" [input {"," input}] ")" "->" "(" [output {"," output}] ")"
///     input     = "%" name ["=" "%" number] ":" type
///     output    = name ":" type
///     statement = "parameter" "@" name ":" type
///               | "%" number {"," "%" number} "=" op "(" [value {"," value}] ")" {attribute} ":" type {"," type} ["//" origin]
///               | "output" name "=" value
///               | "layer" name "=" value
///     value     = "%" number | "%" input | "@" parameter
///     attribute = key ["=" (token | activation ["(" key "=" number .. ")"] | "[" items "]")]
///     type      = dtype "[" [dimension {"," dimension}] "]"
struct GraphParser {
    /// A concatenation's open dimension nests as deep as it has operands, and every walk over it is recursive.
    private static let operandLimit = 2_048

    private(set) var scanner: TextScanner
    private var graph = Graph(name: "")
    private var inputs: [String: ValueID] = [:]
    private var parameters: [String: ValueID] = [:]
    /// The signature's inputs, in the order of their numbers; those from `nextInput` on come after other values.
    private var signatureInputs: [(name: String, number: Int, type: ValueType, offset: Int)] = []
    private var nextInput = 0
    private var signatureOutputs: [(name: String, type: ValueType)] = []

    init(_ scanner: TextScanner) { self.scanner = scanner }

    mutating func parse() throws(TextFailure) -> Graph {
        try scanner.expectWord("ingot")
        try scanner.expectWord("graph")
        scanner.skipSpaces()
        let place = scanner.offset
        let version = try scanner.integer()
        guard version == Graph.textVersion else {
            throw scanner.failure("this is version \(version) of the text form; version \(Graph.textVersion) is known", at: place)
        }
        try scanner.expectWord("graph")
        try scanner.expect("@")
        graph = Graph(name: try scanner.name())
        try parseSignature()
        try scanner.expect("{")
        while !scanner.take("}") { try parseStatement() }
        if nextInput < signatureInputs.count {
            let late = signatureInputs[nextInput]
            throw scanner.failure("input '\(late.name)' is %\(late.number) of \(graph.types.count) values", at: late.offset)
        }
        guard graph.outputs.count == signatureOutputs.count else {
            throw scanner.failure("the graph has \(graph.outputs.count) outputs and its signature \(signatureOutputs.count)")
        }
        guard scanner.peek() == nil else { throw scanner.failure("text after the graph's end") }
        graph.origin = ""
        return graph
    }

    private mutating func parseSignature() throws(TextFailure) {
        try scanner.expect("(")
        while !scanner.take(")") {
            if !signatureInputs.isEmpty { try scanner.expect(",") }
            try scanner.expect("%")
            let offset = scanner.offset
            let name = try scanner.name()
            var number = signatureInputs.count
            if scanner.take("=") {
                try scanner.expect("%")
                number = try scanner.integer()
            }
            try scanner.expect(":")
            guard number > signatureInputs.last?.number ?? -1 else {
                throw scanner.failure("inputs stand in the order of their numbers", at: offset)
            }
            signatureInputs.append((name, number, try scanner.valueType(), offset))
            try checkCount(signatureInputs.count, scanner.limits.objectCount, "inputs")
        }
        try scanner.expect("->")
        try scanner.expect("(")
        while !scanner.take(")") {
            if !signatureOutputs.isEmpty { try scanner.expect(",") }
            scanner.skipSpaces()
            let name = try scanner.name()
            try scanner.expect(":")
            signatureOutputs.append((name, try scanner.valueType()))
            try checkCount(signatureOutputs.count, scanner.limits.objectCount, "outputs")
        }
        try addInputs()
    }

    /// Adds the inputs whose turn it is.
    private mutating func addInputs() throws(TextFailure) {
        while nextInput < signatureInputs.count, signatureInputs[nextInput].number == graph.types.count {
            let input = signatureInputs[nextInput]
            do {
                inputs[input.name] = try graph.addInput(input.name, input.type)
            } catch {
                throw scanner.failure(error.message, at: input.offset)
            }
            nextInput += 1
        }
    }

    private func checkCount(_ count: Int, _ limit: Int, _ what: String) throws(TextFailure) {
        guard count <= limit else { throw scanner.failure("the graph has more than \(limit) \(what)") }
    }

    private mutating func parseStatement() throws(TextFailure) {
        if scanner.peek() == UInt8(ascii: "%") { return try parseNode() }
        let offset = scanner.offset
        switch try scanner.word() {
        case "parameter": try parseParameter()
        case "output":
            let offset = scanner.offset
            let output = try parseNamedValue()
            guard graph.outputs.count < signatureOutputs.count else {
                throw scanner.failure("the signature has only \(signatureOutputs.count) outputs", at: offset)
            }
            let promised = signatureOutputs[graph.outputs.count]
            let type = graph.type(of: output.value)
            guard promised.name == output.name, promised.type == type else {
                throw scanner.failure(
                    "output '\(output.name)' is \(type); the signature has '\(promised.name)', \(promised.type)", at: offset)
            }
            graph.outputs.append(output)
        case "layer":
            graph.layerOutputs.append(try parseNamedValue())
            try checkCount(graph.layerOutputs.count, scanner.limits.objectCount, "layers")
        default:
            throw scanner.failure("a line is a value '%..', a parameter, an output or a layer", at: offset)
        }
    }

    private mutating func parseParameter() throws(TextFailure) {
        try scanner.expect("@")
        let offset = scanner.offset
        let name = try scanner.name()
        guard parameters[name] == nil else { throw scanner.failure("parameter '\(name)' is declared twice", at: offset) }
        try scanner.expect(":")
        let type = try scanner.valueType()
        do {
            parameters[name] = try graph.addParameter(name, type)
        } catch {
            throw scanner.failure(error.message, at: offset)
        }
        try checkCount(parameters.count, scanner.limits.objectCount, "parameters")
        try addInputs()
    }

    private mutating func parseNamedValue() throws(TextFailure) -> NamedValue {
        scanner.skipSpaces()
        let name = try scanner.name()
        try scanner.expect("=")
        return NamedValue(name, try parseValue())
    }

    /// A value that is defined.
    private mutating func parseValue() throws(TextFailure) -> ValueID {
        scanner.skipSpaces()
        let start = scanner.offset
        let isParameter = scanner.take("@")
        if !isParameter { try scanner.expect("%") }
        let isQuoted = scanner.nextIs("\"")
        let name = try scanner.name()
        if !isParameter, !isQuoted, TextName.isNumber(name.utf8) {
            guard let number = Int(name), number < graph.types.count else {
                throw scanner.failure("value %\(name) is used before it is defined", at: start)
            }
            return ValueID(number)
        }
        guard let value = isParameter ? parameters[name] : inputs[name] else {
            throw scanner.failure("there is no \(isParameter ? "parameter" : "input") '\(name)' here", at: start)
        }
        return value
    }

    private mutating func parseNode() throws(TextFailure) {
        var results = 0
        repeat {
            try scanner.expect("%")
            let offset = scanner.offset
            let number = try scanner.integer()
            let expected = graph.types.count + results
            guard number >= expected else { throw scanner.failure("value %\(number) is defined twice", at: offset) }
            guard number == expected else { throw scanner.failure("the next value is %\(expected), not %\(number)", at: offset) }
            results += 1
        } while scanner.take(",")
        try scanner.expect("=")
        scanner.skipSpaces()
        let offset = scanner.offset
        let name = try scanner.word()
        try scanner.expect("(")
        var operands: [ValueID] = []
        while !scanner.take(")") {
            if !operands.isEmpty { try scanner.expect(",") }
            operands.append(try parseValue())
            try checkCount(operands.count, Self.operandLimit, "operands of one operation")
        }
        var attributes = TextAttributes(op: name, offset: offset)
        while !scanner.take(":") {
            scanner.skipSpaces()
            let place = scanner.offset
            let key = try scanner.word()
            try attributes.add(key, scanner.take("=") ? try scanner.attributeValue() : nil, at: place)
        }
        var types: [(type: ValueType, offset: Int)] = []
        repeat {
            scanner.skipSpaces()
            let place = scanner.offset
            types.append((try scanner.valueType(), place))
        } while scanner.take(",")
        graph.origin = ""
        if scanner.take("//") {
            scanner.skipSpaces()
            graph.origin = try scanner.name()
        }
        let op = try Op(name: name, &attributes, type: types[0].type)
        try attributes.finish()
        try append(op, operands, types, offset)
        guard types.count == results else {
            throw scanner.failure("\(name) gives \(types.count) values, not \(results)", at: offset)
        }
        try addInputs()
    }

    private mutating func append(
        _ op: Op, _ operands: [ValueID], _ types: [(type: ValueType, offset: Int)], _ offset: Int
    ) throws(TextFailure) {
        let outputs: [ValueID]
        do {
            outputs = try graph.appendAll(op, operands)
        } catch {
            throw scanner.failure(error.message, at: offset)
        }
        guard outputs.count == types.count else {
            throw scanner.failure("\(op.name) gives \(outputs.count) values, not \(types.count)", at: offset)
        }
        for (output, written) in zip(outputs, types) where graph.type(of: output) != written.type {
            throw scanner.failure("\(op.name) gives \(graph.type(of: output)), not \(written.type)", at: written.offset)
        }
        try checkCount(graph.nodes.count, scanner.limits.nodeCount, "nodes")
        try checkCount(graph.types.count, scanner.limits.objectCount, "values")
    }
}
