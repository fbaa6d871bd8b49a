module scatter

go 1.21
