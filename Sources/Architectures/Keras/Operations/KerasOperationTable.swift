/// Names of operations: one row for each, with TensorFlow's names and the class of Keras 3. The first of each is what is written.
enum KerasOperationTable {
    struct Row: Sendable {
        let name: String
        let keras2: [String]
        let keras3: [String]
        /// Module of the Keras 3 class, after `keras.src.ops.`.
        let module: String

        init(_ name: String, _ keras2: [String], _ keras3: [String], _ module: String = "numpy") {
            self.name = name
            self.keras2 = keras2
            self.keras3 = keras3
            self.module = module
        }
    }

    static let rows: [Row] = [
        Row("add", ["math.add", "__operators__.add", "add", "AddV2", "Add", "BiasAdd", "nn.bias_add"], ["Add"]),
        Row("subtract", ["math.subtract", "__operators__.sub", "subtract", "Sub"], ["Subtract"]),
        Row("multiply", ["math.multiply", "__operators__.mul", "multiply", "Mul"], ["Multiply"]),
        Row("true_divide", ["math.truediv", "math.divide", "divide", "RealDiv", "Div"], ["TrueDivide", "Divide"]),
        Row("floor_divide", ["math.floordiv", "floor_div", "FloorDiv"], ["FloorDivide"]),
        Row("remainder", ["math.floormod", "math.mod", "FloorMod"], ["Mod", "Remainder"]),
        Row("power", ["math.pow", "pow", "Pow"], ["Power"]),
        Row("maximum", ["math.maximum", "maximum", "Maximum"], ["Maximum"]),
        Row("minimum", ["math.minimum", "minimum", "Minimum"], ["Minimum"]),
        Row("squared_difference", ["math.squared_difference", "SquaredDifference"], []),
        Row("equal", ["math.equal", "equal", "Equal"], ["Equal"]),
        Row("not_equal", ["math.not_equal", "not_equal", "NotEqual"], ["NotEqual"]),
        Row("less", ["math.less", "less", "Less"], ["Less"]),
        Row("less_equal", ["math.less_equal", "less_equal", "LessEqual"], ["LessEqual"]),
        Row("greater", ["math.greater", "greater", "Greater"], ["Greater"]),
        Row("greater_equal", ["math.greater_equal", "greater_equal", "GreaterEqual"], ["GreaterEqual"]),
        Row("logical_and", ["math.logical_and", "logical_and", "LogicalAnd"], ["LogicalAnd"]),
        Row("logical_or", ["math.logical_or", "logical_or", "LogicalOr"], ["LogicalOr"]),
        Row("logical_not", ["math.logical_not", "logical_not", "LogicalNot"], ["LogicalNot"]),
        Row("where", ["where", "SelectV2"], ["Where"]),

        Row("negative", ["math.negative", "negative", "Neg"], ["Negative"]),
        Row("absolute", ["math.abs", "abs", "Abs"], ["Absolute", "Abs"]),
        Row("sign", ["math.sign", "sign", "Sign"], ["Sign"]),
        Row("square", ["math.square", "square", "Square"], ["Square"]),
        Row("sqrt", ["math.sqrt", "sqrt", "Sqrt"], ["Sqrt"]),
        Row("rsqrt", ["math.rsqrt", "Rsqrt"], ["Rsqrt"], "math"),
        Row("reciprocal", ["math.reciprocal", "Reciprocal"], ["Reciprocal"]),
        Row("exp", ["math.exp", "exp", "Exp"], ["Exp"]),
        Row("log", ["math.log", "Log"], ["Log"]),
        Row("log1p", ["math.log1p", "Log1p"], ["Log1p"]),
        Row("sin", ["math.sin", "sin", "Sin"], ["Sin"]),
        Row("cos", ["math.cos", "cos", "Cos"], ["Cos"]),
        Row("tanh", ["math.tanh", "tanh", "nn.tanh", "Tanh"], ["Tanh"]),
        Row("erf", ["math.erf", "Erf"], ["Erf"], "math"),
        Row("floor", ["math.floor", "floor", "Floor"], ["Floor"]),
        Row("ceil", ["math.ceil", "Ceil"], ["Ceil"]),
        Row("round", ["math.round", "round", "Round"], ["Round"]),
        Row("clip", ["clip_by_value", "ClipByValue"], ["Clip"]),

        Row("relu", ["nn.relu", "Relu"], ["Relu"], "nn"),
        Row("rectifier", [], ["ReLU"], "activations"),
        Row("relu6", ["nn.relu6", "Relu6"], ["Relu6"], "nn"),
        Row("leaky_relu", ["nn.leaky_relu", "LeakyRelu"], ["LeakyRelu"], "nn"),
        Row("elu", ["nn.elu", "Elu"], ["Elu"], "nn"),
        Row("selu", ["nn.selu", "Selu"], ["Selu"], "nn"),
        Row("celu", [], ["Celu"], "nn"),
        Row("gelu", ["nn.gelu"], ["Gelu"], "nn"),
        Row("sigmoid", ["math.sigmoid", "sigmoid", "nn.sigmoid", "Sigmoid"], ["Sigmoid"], "nn"),
        Row("hard_sigmoid", [], ["HardSigmoid"], "nn"),
        Row("hard_tanh", [], ["HardTanh"], "nn"),
        Row("log_sigmoid", ["math.log_sigmoid"], ["LogSigmoid"], "nn"),
        Row("silu", ["nn.silu", "nn.swish"], ["Silu"], "nn"),
        Row("hard_silu", [], ["HardSilu"], "nn"),
        Row("softplus", ["math.softplus", "nn.softplus", "Softplus"], ["Softplus"], "nn"),
        Row("softsign", ["nn.softsign", "math.softsign", "Softsign"], ["Softsign"], "nn"),
        Row("softmax", ["nn.softmax", "math.softmax", "Softmax"], ["Softmax"], "nn"),
        Row("log_softmax", ["nn.log_softmax", "math.log_softmax", "LogSoftmax"], ["LogSoftmax"], "nn"),

        Row("sum", ["math.reduce_sum", "reduce_sum", "Sum"], ["Sum"]),
        Row("mean", ["math.reduce_mean", "reduce_mean", "Mean"], ["Mean"]),
        Row("prod", ["math.reduce_prod", "reduce_prod", "Prod"], ["Prod"]),
        Row("max", ["math.reduce_max", "reduce_max", "Max"], ["Max", "Amax"]),
        Row("min", ["math.reduce_min", "reduce_min", "Min"], ["Min", "Amin"]),
        Row("any", ["math.reduce_any", "reduce_any", "Any"], ["Any"]),
        Row("all", ["math.reduce_all", "reduce_all", "All"], ["All"]),
        Row("variance", ["math.reduce_variance"], ["Var"]),
        Row("deviation", ["math.reduce_std"], ["Std"]),
        Row("logsumexp", ["math.reduce_logsumexp", "reduce_logsumexp"], ["Logsumexp"], "math"),
        Row("norm", ["norm", "linalg.norm"], ["Norm"], "linalg"),
        Row("argmax", ["math.argmax", "argmax", "ArgMax"], ["Argmax"]),
        Row("argmin", ["math.argmin", "argmin", "ArgMin"], ["Argmin"]),
        Row("cumsum", ["math.cumsum", "cumsum", "Cumsum"], ["Cumsum"]),

        Row("getitem", ["__operators__.getitem", "StridedSlice"], ["GetItem"]),
        Row("concat", ["concat", "ConcatV2"], ["Concatenate"]),
        Row("stack", ["stack", "Pack"], ["Stack"]),
        Row("reshape", ["reshape", "Reshape"], ["Reshape"]),
        Row("transpose", ["transpose", "Transpose"], ["Transpose"]),
        Row("swapaxes", [], ["Swapaxes"]),
        Row("expand_dims", ["expand_dims", "ExpandDims"], ["ExpandDims"]),
        Row("squeeze", ["squeeze", "Squeeze"], ["Squeeze"]),
        Row("cast", ["cast", "Cast"], ["Cast"], "core"),
        Row("matmul", ["linalg.matmul", "matmul", "BatchMatMulV2", "BatchMatMul", "MatMul"], ["Matmul"]),
        Row("split", ["split", "Split"], ["Split"]),
        Row("tile", ["tile", "Tile"], ["Tile"]),
        Row("flip", ["reverse"], ["Flip"]),
        Row("repeat", ["repeat"], ["Repeat"]),
        Row("pad", ["pad", "Pad", "PadV2"], ["Pad"]),
        Row("one_hot", ["one_hot"], ["OneHot"], "nn"),
        Row("einsum", [], ["Einsum"]),
        Row(
            "identity", ["identity", "stop_gradient", "convert_to_tensor", "Identity", "StopGradient"],
            ["ConvertToTensor", "StopGradient"], "core"),
        Row("zeros_like", ["zeros_like", "ZerosLike"], ["ZerosLike"]),
        Row("ones_like", ["ones_like", "OnesLike"], ["OnesLike"]),
    ]

    static let byName = Dictionary(uniqueKeysWithValues: rows.map { ($0.name, $0) })
    private static let byKeras2 = Dictionary(rows.flatMap { row in row.keras2.map { ($0, row) } }, uniquingKeysWith: { first, _ in first })
    private static let byKeras3 = Dictionary(rows.flatMap { row in row.keras3.map { ($0, row) } }, uniquingKeysWith: { first, _ in first })

    static func row(keras2 name: String) -> Row? {
        // The first API of TensorFlow has the same arguments under other paths.
        let plain = name.hasPrefix("compat.v1.") ? String(name.dropFirst("compat.v1.".count)) : name
        return byKeras2[plain]
    }

    static func row(keras3 name: String) -> Row? { byKeras3[name] }
}
