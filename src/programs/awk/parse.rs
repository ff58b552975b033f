//! From the text of an awk program to what it does. Functions of a program's own are read in `functions`.

mod functions;

use std::rc::Rc;

use super::lex::{Lexer, Token};
use super::tree::{Comparison, Defined, Expr, Function, Operator, Parsed, Pattern, Place, Statement};
use crate::programs::regex::{Dialect, Expression, Whole};

/// Expressions and statements inside one another.
const DEEPEST: usize = 100;

const FUNCTIONS: [(&str, Function, usize, usize); 11] = [
    ("length", Function::Length, 0, 1),
    ("substr", Function::Substr, 2, 3),
    ("index", Function::Index, 2, 2),
    ("split", Function::Split, 2, 3),
    ("sub", Function::Sub, 2, 3),
    ("gsub", Function::Gsub, 2, 3),
    ("match", Function::Match, 2, 2),
    ("sprintf", Function::Sprintf, 1, usize::MAX),
    ("toupper", Function::Toupper, 1, 1),
    ("tolower", Function::Tolower, 1, 1),
    ("int", Function::Int, 1, 1),
];

/// What is wrong with a program, and in which line of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    pub(super) line: usize,
    pub(super) what: String,
}

/// Reads a program.
pub(super) fn parse(source: &str) -> Result<Parsed, Mistake> {
    let mut parser = Parser::new(source);
    let read = parser.advance().and_then(|()| parser.program());
    read.map_err(|what| Mistake { line: parser.lexer.line, what })
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    depth: usize,
    /// Inside `print` without parentheses: `>` would write into a file.
    printing: bool,
    /// Inside the head of a `for`: `in` belongs to it.
    heading: bool,
    /// Functions that were called or defined so far, by index.
    functions: Vec<(String, Option<Rc<Defined>>)>,
    /// The function whose body is read, and its parameters.
    inside: Option<(String, Vec<String>)>,
}

impl<'a> Parser<'a> {
    fn new(source: &'a str) -> Parser<'a> {
        Parser {
            lexer: Lexer::new(source),
            token: Token::End,
            depth: 0,
            printing: false,
            heading: false,
            functions: Vec::new(),
            inside: None,
        }
    }

    fn advance(&mut self) -> Result<(), String> {
        self.token = self.lexer.next()?;
        Ok(())
    }

    fn is(&self, mark: &str) -> bool {
        matches!(self.token, Token::Mark(known) if known == mark)
    }

    fn is_name(&self, name: &str) -> bool {
        matches!(&self.token, Token::Name(known) | Token::Call(known) if known == name)
    }

    fn take(&mut self, mark: &str) -> Result<bool, String> {
        let found = self.is(mark);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, mark: &str) -> Result<(), String> {
        if self.take(mark)? { Ok(()) } else { Err("Unexpected token".to_owned()) }
    }

    fn skip_lines(&mut self) -> Result<(), String> {
        while self.is("\n") || self.is(";") {
            self.advance()?;
        }
        Ok(())
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        if self.depth >= DEEPEST {
            return Err(format!("expressions nest deeper than {DEEPEST} levels"));
        }
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn program(&mut self) -> Result<Parsed, String> {
        let mut parsed = Parsed::default();
        loop {
            self.skip_lines()?;
            if self.token == Token::End {
                for (name, defined) in std::mem::take(&mut self.functions) {
                    parsed
                        .functions
                        .push(defined.ok_or_else(|| format!("function '{name}' is not defined"))?);
                }
                return Ok(parsed);
            }
            if self.is_name("function") || self.is_name("func") {
                self.advance()?;
                self.define()?;
                continue;
            }
            if self.is_name("BEGIN") || self.is_name("END") {
                let begins = self.is_name("BEGIN");
                self.advance()?;
                if !self.is("{") {
                    return Err("Unexpected token".to_owned());
                }
                let block = self.block()?;
                if begins {
                    parsed.begin.push(block)
                } else {
                    parsed.end.push(block)
                }
                continue;
            }
            let pattern = match self.is("{") {
                true => Pattern::Every,
                false => {
                    let first = self.expression()?;
                    match self.take(",")? {
                        true => {
                            while self.take("\n")? {}
                            Pattern::Range(first, self.expression()?)
                        }
                        false => Pattern::When(first),
                    }
                }
            };
            let action = if self.is("{") { self.block()? } else { vec![Statement::Print(Vec::new())] };
            parsed.rules.push((pattern, action));
        }
    }

    fn block(&mut self) -> Result<Vec<Statement>, String> {
        self.expect("{")?;
        let mut statements = Vec::new();
        loop {
            self.skip_lines()?;
            if self.take("}")? {
                return Ok(statements);
            }
            statements.push(self.statement()?);
        }
    }

    /// A statement as a body, with line ends in front of it.
    fn body(&mut self) -> Result<Vec<Statement>, String> {
        while self.take("\n")? {}
        if self.take(";")? {
            return Ok(Vec::new());
        }
        Ok(vec![self.statement()?])
    }

    fn statement(&mut self) -> Result<Statement, String> {
        self.deeper(Self::one_statement)
    }

    fn one_statement(&mut self) -> Result<Statement, String> {
        if self.is("{") {
            return self.block().map(Statement::Block);
        }
        let keyword = match &self.token {
            Token::Name(name) | Token::Call(name) => name.clone(),
            _ => String::new(),
        };
        match keyword.as_str() {
            "if" => {
                self.advance()?;
                let condition = self.parenthesised()?;
                let then = self.body()?;
                // `else` may stand behind line ends and one semicolon.
                let (lexer, token) = (self.lexer, self.token.clone());
                self.skip_lines()?;
                if self.is_name("else") {
                    self.advance()?;
                    return Ok(Statement::If(condition, then, self.body()?));
                }
                (self.lexer, self.token) = (lexer, token);
                return Ok(Statement::If(condition, then, Vec::new()));
            }
            "while" => {
                self.advance()?;
                let condition = Some(self.parenthesised()?);
                return Ok(Statement::Loop { condition, body: self.body()?, step: Vec::new(), first: false });
            }
            "for" => return self.for_loop(),
            "do" => {
                self.advance()?;
                let body = self.body()?;
                self.skip_lines()?;
                if !self.is_name("while") {
                    return Err("Unexpected token".to_owned());
                }
                self.advance()?;
                let condition = Some(self.parenthesised()?);
                self.ended()?;
                return Ok(Statement::Loop { condition, body, step: Vec::new(), first: true });
            }
            _ => {}
        }
        let statement = self.simple()?;
        self.ended()?;
        Ok(statement)
    }

    fn ended(&mut self) -> Result<(), String> {
        match self.token {
            Token::End | Token::Mark("}") => Ok(()),
            Token::Mark(";" | "\n") => self.advance(),
            Token::Mark(">" | ">>") => Err("output into files ('>') is not supported".to_owned()),
            _ => Err("Unexpected token".to_owned()),
        }
    }

    fn simple(&mut self) -> Result<Statement, String> {
        let keyword = match &self.token {
            Token::Name(name) | Token::Call(name) => name.clone(),
            _ => String::new(),
        };
        match keyword.as_str() {
            "print" | "printf" => {
                self.advance()?;
                let values = self.printed()?;
                match (keyword.as_str(), values.is_empty()) {
                    ("print", _) => Ok(Statement::Print(values)),
                    (_, true) => Err("Unexpected token".to_owned()),
                    (_, false) => Ok(Statement::Printf(values)),
                }
            }
            "next" | "exit" if self.inside.is_some() => {
                Err(format!("'{keyword}' inside a function is not supported"))
            }
            "next" => self.advance().map(|()| Statement::Next),
            "return" if self.inside.is_some() => {
                self.advance()?;
                let ends = matches!(self.token, Token::End | Token::Mark("}" | ";" | "\n"));
                Ok(Statement::Return(if ends { None } else { Some(self.expression()?) }))
            }
            "return" => Err("Unexpected token".to_owned()),
            "break" => self.advance().map(|()| Statement::Break),
            "continue" => self.advance().map(|()| Statement::Continue),
            "exit" => {
                self.advance()?;
                let ends = matches!(self.token, Token::End | Token::Mark("}" | ";" | "\n"));
                Ok(Statement::Exit(if ends { None } else { Some(self.expression()?) }))
            }
            "delete" => {
                self.advance()?;
                let (Token::Name(name) | Token::Call(name)) = self.token.clone() else {
                    return Err("Unexpected token".to_owned());
                };
                self.advance()?;
                let key = if self.is("[") { Some(self.subscript()?) } else { None };
                Ok(Statement::Delete(self.variable(name), key))
            }
            _ => self.expression().map(Statement::Expression),
        }
    }

    /// What `print` prints: a list, in parentheses or not.
    fn printed(&mut self) -> Result<Vec<Expr>, String> {
        if matches!(self.token, Token::End | Token::Mark("}" | ";" | "\n" | ">" | ">>")) {
            return Ok(Vec::new());
        }
        if self.is("(") {
            // A list in parentheses and nothing behind it, or an expression that begins with one.
            let before = (self.lexer, self.token.clone());
            self.advance()?;
            let list = self.list()?;
            if self.take(")")?
                && matches!(self.token, Token::End | Token::Mark("}" | ";" | "\n" | ">" | ">>"))
            {
                return Ok(list);
            }
            (self.lexer, self.token) = before;
        }
        let printing = std::mem::replace(&mut self.printing, true);
        let list = self.list();
        self.printing = printing;
        list
    }

    fn list(&mut self) -> Result<Vec<Expr>, String> {
        let mut all = vec![self.expression()?];
        while self.take(",")? {
            while self.take("\n")? {}
            all.push(self.expression()?);
        }
        Ok(all)
    }

    fn for_loop(&mut self) -> Result<Statement, String> {
        self.advance()?;
        self.expect("(")?;
        let heading = std::mem::replace(&mut self.heading, true);
        let init = if self.is(";") { None } else { Some(self.simple()?) };
        self.heading = heading;
        if self.is_name("in") {
            let Some(Statement::Expression(Expr::Place(Place::Variable(variable)))) = init else {
                return Err("Unexpected token".to_owned());
            };
            self.advance()?;
            let (Token::Name(array) | Token::Call(array)) = self.token.clone() else {
                return Err("Unexpected token".to_owned());
            };
            self.advance()?;
            self.expect(")")?;
            return Ok(Statement::Each(variable, self.variable(array), self.body()?));
        }
        self.expect(";")?;
        let condition = if self.is(";") { None } else { Some(self.expression()?) };
        self.expect(";")?;
        let step = if self.is(")") { Vec::new() } else { vec![self.simple()?] };
        self.expect(")")?;
        let body = self.body()?;
        let mut all: Vec<Statement> = init.into_iter().collect();
        all.push(Statement::Loop { condition, body, step, first: false });
        Ok(Statement::Block(all))
    }

    fn parenthesised(&mut self) -> Result<Expr, String> {
        self.expect("(")?;
        let inner = self.expression()?;
        self.expect(")")?;
        Ok(inner)
    }

    /// `[KEY]` or `[KEY, KEY]`.
    fn subscript(&mut self) -> Result<Expr, String> {
        self.expect("[")?;
        let mut key = self.free(Self::expression)?;
        while self.take(",")? {
            let more = self.free(Self::expression)?;
            let joined = Expr::Concat(Box::new(key), Box::new(Expr::Text("\u{1c}".to_owned())));
            key = Expr::Concat(Box::new(joined), Box::new(more));
        }
        self.expect("]")?;
        Ok(key)
    }

    /// Inside brackets every operator is itself again.
    fn free<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        let before = (self.printing, self.heading);
        (self.printing, self.heading) = (false, false);
        let result = read(self);
        (self.printing, self.heading) = before;
        result
    }

    fn expression(&mut self) -> Result<Expr, String> {
        self.deeper(Self::assignment)
    }

    fn assignment(&mut self) -> Result<Expr, String> {
        let left = self.choice()?;
        let operator = match self.token {
            Token::Mark("=") => None,
            Token::Mark("+=") => Some(Operator::Add),
            Token::Mark("-=") => Some(Operator::Subtract),
            Token::Mark("*=") => Some(Operator::Multiply),
            Token::Mark("/=") => Some(Operator::Divide),
            Token::Mark("%=") => Some(Operator::Remainder),
            Token::Mark("^=" | "**=") => Some(Operator::Power),
            _ => return Ok(left),
        };
        let Expr::Place(place) = left else { return Err("Unexpected token".to_owned()) };
        self.advance()?;
        Ok(Expr::Assign(place, operator, Box::new(self.expression()?)))
    }

    fn choice(&mut self) -> Result<Expr, String> {
        let condition = self.either()?;
        if !self.take("?")? {
            return Ok(condition);
        }
        let then = self.expression()?;
        self.expect(":")?;
        let otherwise = self.expression()?;
        Ok(Expr::Choice(Box::new(condition), Box::new(then), Box::new(otherwise)))
    }

    fn either(&mut self) -> Result<Expr, String> {
        let mut left = self.all()?;
        while self.take("||")? {
            while self.take("\n")? {}
            left = Expr::Or(Box::new(left), Box::new(self.all()?));
        }
        Ok(left)
    }

    fn all(&mut self) -> Result<Expr, String> {
        let mut left = self.member()?;
        while self.take("&&")? {
            while self.take("\n")? {}
            left = Expr::And(Box::new(left), Box::new(self.member()?));
        }
        Ok(left)
    }

    fn member(&mut self) -> Result<Expr, String> {
        let mut left = self.matching()?;
        while !self.heading && self.is_name("in") {
            self.advance()?;
            let (Token::Name(array) | Token::Call(array)) = self.token.clone() else {
                return Err("Unexpected token".to_owned());
            };
            self.advance()?;
            left = Expr::In(Box::new(left), self.variable(array));
        }
        Ok(left)
    }

    fn matching(&mut self) -> Result<Expr, String> {
        let mut left = self.comparison()?;
        while self.is("~") || self.is("!~") {
            let negated = self.is("!~");
            self.advance()?;
            let pattern = Box::new(self.comparison()?);
            left = Expr::Match { negated, subject: Box::new(left), pattern };
        }
        Ok(left)
    }

    fn comparison(&mut self) -> Result<Expr, String> {
        let left = self.concatenation()?;
        let comparison = match self.token {
            Token::Mark("<") => Comparison::Less,
            Token::Mark("<=") => Comparison::LessOrEqual,
            Token::Mark("==") => Comparison::Equal,
            Token::Mark("!=") => Comparison::NotEqual,
            Token::Mark(">") if !self.printing => Comparison::Greater,
            Token::Mark(">=") => Comparison::GreaterOrEqual,
            _ => return Ok(left),
        };
        self.advance()?;
        Ok(Expr::Compare(comparison, Box::new(left), Box::new(self.concatenation()?)))
    }

    fn concatenation(&mut self) -> Result<Expr, String> {
        let mut left = self.sum()?;
        while self.begins_operand() {
            left = Expr::Concat(Box::new(left), Box::new(self.sum()?));
        }
        Ok(left)
    }

    fn begins_operand(&self) -> bool {
        match &self.token {
            Token::Number(_) | Token::Text(_) | Token::Call(_) => true,
            Token::Name(name) => name != "in" && name != "else",
            Token::Mark(mark) => matches!(*mark, "(" | "$" | "!" | "++" | "--" | "-"),
            Token::Regex(_) | Token::End => false,
        }
    }

    fn sum(&mut self) -> Result<Expr, String> {
        let mut left = self.product()?;
        loop {
            let operator = match self.token {
                Token::Mark("+") => Operator::Add,
                Token::Mark("-") => Operator::Subtract,
                _ => return Ok(left),
            };
            self.advance()?;
            left = Expr::Binary(operator, Box::new(left), Box::new(self.product()?));
        }
    }

    fn product(&mut self) -> Result<Expr, String> {
        let mut left = self.unary()?;
        loop {
            let operator = match self.token {
                Token::Mark("*") => Operator::Multiply,
                Token::Mark("/") => Operator::Divide,
                Token::Mark("%") => Operator::Remainder,
                _ => return Ok(left),
            };
            self.advance()?;
            left = Expr::Binary(operator, Box::new(left), Box::new(self.unary()?));
        }
    }

    fn unary(&mut self) -> Result<Expr, String> {
        self.deeper(|parser| match parser.token {
            Token::Mark("!") => {
                parser.advance()?;
                Ok(Expr::Not(Box::new(parser.unary()?)))
            }
            Token::Mark("-") => {
                parser.advance()?;
                Ok(Expr::Negative(Box::new(parser.unary()?)))
            }
            Token::Mark("+") => {
                parser.advance()?;
                Ok(Expr::Positive(Box::new(parser.unary()?)))
            }
            _ => parser.power(),
        })
    }

    fn power(&mut self) -> Result<Expr, String> {
        let left = self.stepped()?;
        if !(self.is("^") || self.is("**")) {
            return Ok(left);
        }
        self.advance()?;
        Ok(Expr::Binary(Operator::Power, Box::new(left), Box::new(self.unary()?)))
    }

    fn stepped(&mut self) -> Result<Expr, String> {
        for (mark, change) in [("++", 1.0), ("--", -1.0)] {
            if self.take(mark)? {
                return match self.primary()? {
                    Expr::Place(place) => Ok(Expr::Step(place, change, false)),
                    _ => Err("Unexpected token".to_owned()),
                };
            }
        }
        let operand = self.primary()?;
        match (self.token.clone(), operand) {
            (Token::Mark("++"), Expr::Place(place)) => {
                self.advance()?;
                Ok(Expr::Step(place, 1.0, true))
            }
            (Token::Mark("--"), Expr::Place(place)) => {
                self.advance()?;
                Ok(Expr::Step(place, -1.0, true))
            }
            (_, operand) => Ok(operand),
        }
    }

    fn primary(&mut self) -> Result<Expr, String> {
        let token = self.token.clone();
        self.advance()?;
        match token {
            Token::Number(number) => Ok(Expr::Number(number)),
            Token::Text(text) => Ok(Expr::Text(text)),
            Token::Regex(pattern) => regex(&pattern).map(Expr::Regex),
            Token::Mark("$") => {
                // It binds closer than everything but `++` in front.
                let field = self.deeper(|parser| match parser.token {
                    Token::Mark("-") => {
                        parser.advance()?;
                        Ok(Expr::Negative(Box::new(parser.primary()?)))
                    }
                    Token::Mark("++" | "--") => parser.stepped(),
                    _ => parser.primary(),
                })?;
                Ok(Expr::Place(Place::Field(Box::new(field))))
            }
            Token::Mark("(") => {
                let inner = self.free(Self::list)?;
                self.expect(")")?;
                self.grouped(inner)
            }
            Token::Call(name) | Token::Name(name) if name == "length" && !self.is("(") => {
                Ok(Expr::Call(Function::Length, Vec::new()))
            }
            Token::Call(name) => {
                self.expect("(")?;
                let arguments = if self.is(")") { Vec::new() } else { self.free(Self::list)? };
                self.expect(")")?;
                let Some((_, function, least, most)) = FUNCTIONS.iter().find(|(known, ..)| *known == name)
                else {
                    return Ok(Expr::Invoke(self.function(&name), arguments));
                };
                if !(*least..=*most).contains(&arguments.len()) {
                    return Err(format!("Too few or too many arguments of '{name}'"));
                }
                Ok(Expr::Call(*function, arguments))
            }
            Token::Name(name) if FUNCTIONS.iter().any(|(known, ..)| *known == name) => {
                Err("Unexpected token".to_owned())
            }
            Token::Name(name) if self.is("[") => {
                Ok(Expr::Place(Place::Element(self.variable(name), Box::new(self.subscript()?))))
            }
            Token::Name(name) => Ok(Expr::Place(Place::Variable(self.variable(name)))),
            Token::Mark(_) | Token::End => Err("Unexpected token".to_owned()),
        }
    }

    /// An expression in parentheses, or a list of keys in front of `in`.
    fn grouped(&mut self, mut inner: Vec<Expr>) -> Result<Expr, String> {
        let last = inner.pop().ok_or("Unexpected token")?;
        if inner.is_empty() {
            // An assignment in parentheses is no place to assign to, a variable is.
            return Ok(last);
        }
        Err("a list of keys in front of 'in' is not supported".to_owned())
    }
}

/// An expression from its text.
pub(super) fn regex(pattern: &str) -> Result<Expression, String> {
    Expression::new(pattern, Dialect::Extended, false, Whole::Part)
        .map_err(|reason| format!("bad regex '{pattern}': {reason}"))
}
